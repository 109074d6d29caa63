// SPDX-License-Identifier: GPL-2.0-or-later
// The parts of a machine of this architecture beyond those of every machine. The table of the
// architecture is the one that is linked (scripts/mk/arch).
#pragma once

#include <span>

#include "kernel/base/result.h"

namespace devices {

struct PlatformDevice {
  const char* name;  // in the log
  Result<void> (*start)();
};

// Devices that sit on no bus, in the order in which they start. Thread context.
std::span<const PlatformDevice> platform_devices();

}  // namespace devices
