// SPDX-License-Identifier: GPL-2.0-or-later
// How commands get at a model: a lease on the loaded one, with the loading shown to the person.
// The shell's thread only.
#pragma once

#include "console/terminal/io.h"
#include "console/terminal/progress.h"
#include "kernel/time/clock.h"
#include "service/engine_host.h"

namespace console {

// Shows how far a work is on a line of `io`; Ctrl-C stops it.
class ShownProgress final : public service::ProgressSink {
 public:
  ShownProgress(Io& io, const char* what) : io_(io), progress_(&io, what, "MiB", kMiB) {}
  void on_progress(u64 done, u64 total) override { progress_.update(done, total); }
  bool stopped() override { return io_.interrupted(); }

 private:
  Io& io_;
  Progress progress_;
};

// Waits until Ctrl-C.
class KeyPatience final : public service::Patience {
 public:
  explicit KeyPatience(Io& io) : io_(io) {}
  bool ended() override { return io_.interrupted(); }

 private:
  Io& io_;
};

// Loads a model, with its progress on `io`.
Result<void> load_shown(const service::ModelFile& file, Io& io);
// Sleeps until `done()` is true, which is asked after each step of the engine. kCancelled on
// Ctrl-C.
template <class Done>
Result<void> wait_until(Io& io, Done&& done) {
  while (!done()) {
    service::engine_host().wait_news();
    if (!done() && io.interrupted()) return fail(Errc::kCancelled, "stopped");
  }
  return {};
}

// A lease on the current model; the default one is loaded first when there is none.
Result<ai::Lease> use_model(const service::Holder& holder, Io& io);

}  // namespace console
