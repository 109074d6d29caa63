// SPDX-License-Identifier: GPL-2.0-or-later
// A person ends the machine by its button or keyboard: what is under way is finished, what lies in
// caches is written, then it is off or starts again.
#pragma once

#include "kernel/base/registry.h"
#include "kernel/base/result.h"
#include "kernel/base/types.h"

namespace power {

enum class Wish : u8 {
  kNone,
  kOff,      // the power button
  kRestart,  // Ctrl-Alt-Del: asked for twice, since it may be typed by habit
};

// Any context of CPU 0, interrupts too.
void ask(Wish wish);

// Starts the thread that serves wishes. Once, at boot.
Result<void> start();

// Writes what disks hold in their caches. Thread context.
void save();

// What other parts do before the end; each returns by `deadline_ns`. Thread context.
struct Farewell {
  void (*run)(u64 deadline_ns);
};
REGISTRY(farewells, Farewell)
#define POWER_FAREWELL(row) REGISTER_ROW(farewells, row)

// Is a wish that needs two askings meant? Pure.
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
