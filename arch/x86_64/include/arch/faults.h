// SPDX-License-Identifier: GPL-2.0-or-later
// Causes faults on purpose, so that tests see what each of them reports.
#pragma once

#include <span>

namespace arch {

struct Fault {
  const char* name;  // "null-call"
  const char* what;  // one line for the list
  // Ends in a panic on the calling CPU. It returns if the machine lacks the protection.
  void (*trigger)();
};
// Returns a constant table. Only the command `fault` uses it, on the thread "main".
std::span<const Fault> faults();

}  // namespace arch
