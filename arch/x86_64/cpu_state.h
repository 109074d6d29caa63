// SPDX-License-Identifier: GPL-2.0-or-later
// The control registers of the calling CPU.
#pragma once

namespace arch {

// Enables protection bits (SMEP, SMAP, UMIP, write protect) and vector state (XCR0), if present.
void init_cpu_state();

}  // namespace arch
