// SPDX-License-Identifier: GPL-2.0-or-later
// Drives the 16550 of a PC at COM1.
#include <arch/interrupts.h>
#include <arch/port_io.h>

#include "drivers/serial/uart16550.h"

namespace serial {
namespace {

struct Ports {
  static constexpr u16 kBase = 0x3f8;
  static u8 read(u32 number) { return arch::in8(static_cast<u16>(kBase + number)); }
  static void write(u32 number, u8 value) { arch::out8(static_cast<u16>(kBase + number), value); }
};
using Uart = Uart16550<Ports>;

// Sets 115200 baud, because a PC's firmware may have left any rate.
bool start(const BootConsole&) {
  Ports::write(Uart::kScratch, 0x5a);
  if (Ports::read(Uart::kScratch) != 0x5a) return false;
  constexpr u8 kDivisorShown = 0x80;
  Ports::write(Uart::kInterruptEnable, 0);
  Ports::write(Uart::kLineControl, kDivisorShown);
  Ports::write(Uart::kData, 1);  // 115200 baud
  Ports::write(Uart::kInterruptEnable, 0);
  Uart::start();
  return true;
}

Result<void> route(u32 vector) {
  constexpr u32 kIsaLine = 4;
  return arch::interrupts::route_isa(kIsaLine, vector);
}

}  // namespace

constinit const Chip kUart16550Ports = Uart::chip(BootConsole::Kind::kNone, start, route);

}  // namespace serial
