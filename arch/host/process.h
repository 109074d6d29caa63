// SPDX-License-Identifier: GPL-2.0-or-later
// Functions about the process itself, shared by main.cpp and the twin's CPU layer.
#pragma once

#include "kernel/dev/char_device.h"

namespace host {

void restore_terminal();  // idempotent; any thread
// replaces the process by a new run with the same arguments; returns only if that failed
void run_again();
CharDevice& standard_streams();

}  // namespace host
