// SPDX-License-Identifier: GPL-2.0-or-later
// One line on a terminal that says how far a long work is; nothing when it ends within a second.
#pragma once

#include "console/terminal/io.h"

namespace console {

class Progress {
 public:
  // "reading the prompt", "tokens"; `unit` of them are one of what is shown. `io` may be null: then
  // nothing is shown.
  Progress(Io* io, const char* what, const char* noun, u64 unit = 1);
  ~Progress() { hide(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(u64 done, u64 total);
  // So much was there already: it tells nothing of the rate.
  void skip(u64 done) { skipped_ = done; }
  void hide();  // before anything else is written

 private:
  Io* io_;
  const char* what_;
  const char* noun_;
  u64 unit_, start_ns_;
  u64 shown_ns_ = 0;  // of the line that is shown; 0 = none
  u64 shown_done_ = 0;
  u64 skipped_ = 0;
};

}  // namespace console
