// SPDX-License-Identifier: GPL-2.0-or-later
// Causes faults on purpose, so that tests see what each of them reports. Only the command `fault`
// uses this, on the thread "main".
#pragma once

#include <span>

#include "kernel/base/types.h"

namespace faults {

struct Fault {
  const char* name;  // "null-call"
  const char* what;  // one line for the list
  // Ends in a panic on the calling CPU. It returns if the machine lacks the protection. Tests look
  // for the function's name in the report.
  void (*trigger)();
};

// Returns a constant table of what every architecture notices.
std::span<const Fault> of_every_cpu();

// Returns a value that the compiler cannot see through. Otherwise it would warn, or delete the
// fault as undefined.
template <class T>
T hidden(T value) {
  volatile T seen = value;
  return seen;
}

}  // namespace faults

namespace arch {

// Returns a constant table of the faults that take an instruction or an address of this
// architecture.
std::span<const faults::Fault> faults();

// The code of an instruction that returns to the caller, little-endian.
extern const u32 kReturnInstruction;

}  // namespace arch
