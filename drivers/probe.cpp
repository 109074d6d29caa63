// SPDX-License-Identifier: GPL-2.0-or-later
// Starts the machine's devices in the order in which they appear.
#include "kernel/dev/probe.h"

#include "boot/boot_info.h"
#include "drivers/display/early_screen.h"
#include "drivers/display/framebuffer.h"
#include "drivers/linux/devices.h"
#include "drivers/platform/platform.h"
#include "drivers/serial/serial.h"
#include "kernel/arch_contract.h"
#include "kernel/dev/power.h"
#include "kernel/dev/terminal.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/pci/pci.h"

namespace devices {
namespace {

// Logs a failure, unless the device is just not there.
void report(const char* what, const Result<void>& result) {
  if (result.has_value()) return;
  log::Level level = result.error().code == Errc::kNotFound ? log::Level::kInfo : log::Level::kWarn;
  const base::FormatArg reason(result.error());
  log::write(level, what, "{}", {&reason, 1});
}

}  // namespace

void start_console(const BootInfo& boot) {
  serial::init(boot.console);
  panic_add_device(serial::device());
  display::start_early(boot.framebuffer, boot.text_screen);
  if (boot.problem != nullptr) panic("the boot ends here: {}", boot.problem);
  MUST(terminal::add(serial::device()));
}

void probe_all(const BootInfo& boot) {
  if (serial::present()) {
    Result<void> interrupt = serial::enable_interrupt();
    if (!interrupt.has_value()) log::warn("serial", "{}: polled", interrupt.error());
  }
  report("screen", display::init(boot.framebuffer));
  report("power", power::start());
  for (const PlatformDevice& device : platform_devices()) report(device.name, device.start());
  report("pci", pci::init());
  report("drivers", linux_drivers::start());
}

}  // namespace devices
