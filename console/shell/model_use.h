// SPDX-License-Identifier: GPL-2.0-or-later
// Gives commands a lease on a model, loading one if necessary and showing the progress. For the
// shell's thread only; everything here may wait.
#pragma once

#include "console/terminal/io.h"
#include "console/terminal/progress.h"
#include "kernel/time/clock.h"
#include "service/engine_host.h"

namespace console {

// Shows the progress of long work on a line of `io`. Ctrl-C stops the work.
class ShownProgress final : public service::ProgressSink {
 public:
  ShownProgress(Io& io, const char* what) : io_(io), progress_(&io, what, "MiB", kMiB) {}
  void on_progress(u64 done, u64 total) override { progress_.update(done, total); }
  bool stopped() override { return io_.interrupted(); }

 private:
  Io& io_;
  Progress progress_;
};

// The progress of work that begins later and may begin anew with another file: each has a rate of
// its own.
class FreshProgress final : public service::ProgressSink {
 public:
  explicit FreshProgress(const char* what) : what_(what) {}
  void on_progress(u64 done, u64 total) override {
    if (!shown_.has_value() || done < done_) shown_.emplace(io(), what_);
    done_ = done;
    shown_->on_progress(done, total);
  }
  bool stopped() override { return io().interrupted(); }

 private:
  const char* what_;
  u64 done_ = 0;
  std::optional<ShownProgress> shown_;
};

// A patience that ends with Ctrl-C.
class KeyPatience final : public service::Patience {
 public:
  explicit KeyPatience(Io& io) : io_(io) {}
  bool ended() override { return io_.interrupted(); }

 private:
  Io& io_;
};

// Loads a model and shows the progress on `io`.
Result<void> load_shown(const service::ModelFile& file, Io& io);
// Sleeps until `done()` returns true, which is tested after each step of the engine. Returns
// kCancelled on Ctrl-C.
template <class Done>
Result<void> wait_until(Io& io, Done&& done) {
  while (!done()) {
    service::engine_host().wait_news();
    if (!done() && io.interrupted()) return fail(Errc::kCancelled, "stopped");
  }
  return {};
}

// Leases the current model. If none is loaded, the default one is loaded first.
Result<ai::Lease> use_model(const service::Holder& holder, Io& io);

}  // namespace console
