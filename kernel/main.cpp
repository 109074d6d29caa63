// SPDX-License-Identifier: GPL-2.0-or-later
// The boot order on one page.
#include "kernel/main.h"

#include <arch/cpu.h>

#include "drivers/serial/uart16550.h"
#include "kernel/dev/terminal.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/time/clock.h"

void kernel_main(BootInfo& boot) {
  serial::init();
  panic_add_device(serial::device());
  if (boot.problem != nullptr) panic("the loader's information is unreadable: {}", boot.problem);
  arch::init_boot_cpu(boot);
  MUST(terminal::add(serial::device()));
  arch::init_platform(boot);
  timing::init(boot.entry_ticks);
  terminal::print("Marrow, loaded by {}: {} memory ranges, {} cpus, {} ticks/s by {}, up {} us\r\n",
                  boot.loader, boot.memory.size(), arch::Cpu::cpu_count(),
                  timing::ticks_per_second(), timing::calibration_source(),
                  timing::now_ns() / 1000);
  arch::halt_forever();
}
