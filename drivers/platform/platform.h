// SPDX-License-Identifier: GPL-2.0-or-later
// Lists the devices that only machines of this architecture have. The table of the architecture is
// the one that is linked (scripts/mk/arch).
#pragma once

#include <span>

#include "kernel/base/result.h"

namespace devices {

struct PlatformDevice {
  const char* name;  // in the log
  Result<void> (*start)();
};

// Returns the devices that sit on no bus, in the order in which they start. Thread context.
std::span<const PlatformDevice> platform_devices();

}  // namespace devices
