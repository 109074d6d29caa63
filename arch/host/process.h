// SPDX-License-Identifier: GPL-2.0-or-later
// What main.cpp and the CPU layer of the twin share about the process itself.
#pragma once

#include "kernel/dev/char_device.h"

namespace host {

void restore_terminal();  // idempotent; any thread
void run_again();  // replaces the process by a new run with the same arguments; returns on failure
CharDevice& standard_streams();

}  // namespace host
