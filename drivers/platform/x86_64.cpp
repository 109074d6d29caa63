// SPDX-License-Identifier: GPL-2.0-or-later
// Lists the old devices of a PC.
#include "drivers/input/power_button.h"
#include "drivers/input/ps2.h"
#include "drivers/platform/platform.h"

namespace devices {
namespace {

constexpr PlatformDevice kDevices[] = {{"keyboard", ps2::init}, {"power", power_button::init}};

}  // namespace

std::span<const PlatformDevice> platform_devices() {
  return kDevices;
}

}  // namespace devices
