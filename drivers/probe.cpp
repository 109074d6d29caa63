// SPDX-License-Identifier: GPL-2.0-or-later
// The machine's devices in the order in which they appear.
#include "kernel/dev/probe.h"

#include "boot/boot_info.h"
#include "drivers/serial/uart16550.h"
#include "kernel/dev/terminal.h"
#include "kernel/log.h"
#include "kernel/panic.h"

namespace devices {

void start_console(const BootInfo& boot) {
  serial::init();
  panic_add_device(serial::device());
  if (boot.problem != nullptr) panic("the loader's information is unreadable: {}", boot.problem);
  MUST(terminal::add(serial::device()));
}

void probe_all(const BootInfo&) {
  if (!serial::present()) return;
  Result<void> interrupt = serial::enable_interrupt();
  if (!interrupt.has_value()) log::warn("serial", "{}: polled", interrupt.error());
}

}  // namespace devices
