// SPDX-License-Identifier: GPL-2.0-or-later
// Causes faults on purpose, so that tests see what each of them reports.
#pragma once

#include <span>

namespace arch {

struct Fault {
  const char* name;  // "null-call"
  const char* what;  // one line for the list
  void (*trigger)();
};
std::span<const Fault> faults();

}  // namespace arch
