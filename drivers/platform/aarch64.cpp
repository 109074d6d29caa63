// SPDX-License-Identifier: GPL-2.0-or-later
// An ARM64 machine has everything on buses.
#include "drivers/platform/platform.h"

namespace devices {

std::span<const PlatformDevice> platform_devices() {
  return {};
}

}  // namespace devices
