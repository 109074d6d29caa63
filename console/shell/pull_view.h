// SPDX-License-Identifier: GPL-2.0-or-later
// Shows a pull to the person at the console: a line for each phase, and sentences between them. For
// the shell's thread.
#pragma once

#include <optional>

#include "console/terminal/io.h"
#include "console/terminal/progress.h"
#include "service/pull.h"

namespace console {

// The lines of progress are gone when it is.
class PullView final : public service::PullWatcher {
 public:
  explicit PullView(base::Writer& out) : out_(out) {}
  void on_progress(u64 done, u64 total) override { show("fetching", done, total); }
  void on_check(u64 done, u64 total) override { show("checking", done, total); }
  void on_manifest() override { progress_.reset(); }
  bool stopped() override { return io().interrupted(); }
  void on_note(std::string_view sentence) override {
    progress_.reset();
    base::format_to(out_, "{}\n", sentence);
  }

 private:
  void show(const char* what, u64 done, u64 total) {
    // The rate leaves out what is there from the start.
    if (!progress_.has_value() || what != what_) {
      progress_.emplace(&io(), what, "MiB", kMiB);
      progress_->skip(done);
      what_ = what;
    }
    progress_->update(done, total);
  }

  base::Writer& out_;
  const char* what_ = "";
  std::optional<Progress> progress_;
};

}  // namespace console
