// SPDX-License-Identifier: GPL-2.0-or-later
// Asks the firmware or the hypervisor for power states of CPUs and machine, and for random numbers.
// ARM DEN 0022 (PSCI), DEN 0028 (calling convention), DEN 0098 (random numbers).
#pragma once

#include "boot/hardware.h"
#include "kernel/base/result.h"

namespace arch::psci {

void init(boot::Conduit conduit);
// Starts a CPU, which runs `entry` with its MMU off and `argument` in x0.
Result<void> start_cpu(u64 affinity, u64 entry, u64 argument);
void power_off();
void reset();
Result<u64> random();  // fit for secrets

}  // namespace arch::psci
