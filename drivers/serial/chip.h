// SPDX-License-Identifier: GPL-2.0-or-later
// Declares what the driver of a serial chip offers to serial.cpp, which has all that the chips have
// in common. Each architecture lists its chips in a file of its own.
#pragma once

#include <span>

#include "boot/boot_info.h"
#include "kernel/base/result.h"

namespace serial {

// How the chip treats what it receives. Held: bytes stay in it, RTS is low, and it interrupts
// nobody.
enum class Receive : u8 { kPolled, kByInterrupt, kHeld };

// All but start() are called only after start() has returned true. Any context.
struct Chip {
  BootConsole::Kind kind;                  // kNone: it lies at a fixed place, which nobody tells
  bool (*start)(const BootConsole& port);  // sets 8N1, polled. Returns false if no chip answers
  void (*write)(std::string_view text);    // waits for the line by polling
  bool (*has_input)();
  u8 (*take)();      // the next byte, if has_input()
  void (*settle)();  // withdraws its interrupt; comes before the bytes are taken
  void (*receive)(Receive how);
  Result<void> (*route)(u32 vector);  // leads its interrupt to a vector
};

extern const Chip kPl011, kUart16550Memory, kUart16550Ports;  // an architecture links some
std::span<const Chip* const> chips();                         // those of this architecture

// Routes the line that the firmware names, for a chip's route().
Result<void> route_line_of(const BootConsole& port, u32 vector);

}  // namespace serial
