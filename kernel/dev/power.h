// SPDX-License-Identifier: GPL-2.0-or-later
// Ends the machine's work when a person uses its button or keyboard: running answers are finished,
// caches are written, and then the machine turns off or restarts.
#pragma once

#include "kernel/base/registry.h"
#include "kernel/base/result.h"
#include "kernel/base/types.h"

namespace power {

enum class Wish : u8 {
  kNone,
  kOff,      // the power button
  kRestart,  // Ctrl-Alt-Del; must be pressed twice, because it may be typed by habit
};

// Records the wish and wakes the thread that serves it. Any context of CPU 0, including interrupt
// handlers.
void ask(Wish wish);

// Starts the thread that serves requests. Called once, at boot.
Result<void> start();

// Writes the disks' caches. For threads; waits.
void save();

// Work that other parts must do before the end. Each returns by `deadline_ns`. Runs on the thread
// of this file.
struct Farewell {
  void (*run)(u64 deadline_ns);
};
REGISTRY(farewells, Farewell)
#define POWER_FAREWELL(row) REGISTER_ROW(farewells, row)

// Decides whether a request that must come twice is meant. Pure.
class Twice {
 public:
  static constexpr u64 kWithinNs = 10'000'000'000;
  bool again(u64 now_ns) {
    bool meant = asked_ && now_ns - first_ns_ <= kWithinNs;
    asked_ = !meant;
    first_ns_ = now_ns;
    return meant;
  }

 private:
  bool asked_ = false;
  u64 first_ns_ = 0;
};

}  // namespace power
