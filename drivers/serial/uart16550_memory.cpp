// SPDX-License-Identifier: GPL-2.0-or-later
// Drives a 16550 in memory, where the firmware says that one is, as it says how far apart the
// registers lie and how wide they are.
#include "drivers/serial/uart16550.h"

namespace serial {
namespace {

constinit BootConsole port;

struct Memory {
  static u8 read(u32 number) {
    u64 at = port.base + u64{number} * port.stride;
    if (port.width == 1) return *reinterpret_cast<volatile u8*>(at);
    return static_cast<u8>(*reinterpret_cast<volatile u32*>(at));
  }
  static void write(u32 number, u8 value) {
    u64 at = port.base + u64{number} * port.stride;
    if (port.width == 1)
      *reinterpret_cast<volatile u8*>(at) = value;
    else
      *reinterpret_cast<volatile u32*>(at) = value;
  }
};
using Uart = Uart16550<Memory>;

// Keeps the rate that the firmware set, because nothing tells the clock that feeds the divisor.
// It waits first, because clearing the FIFO would drop what the firmware wrote last.
bool start(const BootConsole& where) {
  port = where;
  Uart::wait_for(Uart::kAllSent);
  Uart::start();
  return true;
}

Result<void> route(u32 vector) {
  return route_line_of(port, vector);
}

}  // namespace

constinit const Chip kUart16550Memory = Uart::chip(BootConsole::Kind::kUart16550, start, route);

}  // namespace serial
