// SPDX-License-Identifier: GPL-2.0-or-later
// One line on a terminal that shows the progress of long work; nothing if it ends within a second.
#pragma once

#include "console/terminal/io.h"

namespace console {

class Progress {
 public:
  // For example "reading the prompt" and "tokens". `unit` of the counted things are one of those
  // shown. With `io` null, nothing is shown.
  Progress(Io* io, const char* what, const char* noun, u64 unit = 1);
  ~Progress() { hide(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(u64 done, u64 total);
  // Tells how much was there from the start, so that it does not count for the rate.
  void skip(u64 done) { skipped_ = done; }
  void hide();  // called before anything else is written

 private:
  Io* io_;
  const char* what_;
  const char* noun_;
  u64 unit_, start_ns_;
  u64 shown_ns_ = 0;  // when the line was last shown; 0 = never
  u64 shown_done_ = 0;
  u64 skipped_ = 0;
};

}  // namespace console
