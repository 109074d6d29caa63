// SPDX-License-Identifier: GPL-2.0-or-later
// Drives the PL011 and SBSA's generic UART, which is a part of it. ARM DDI 0183, chapter 3.
#include "drivers/serial/chip.h"

namespace serial {
namespace {

// Register offsets.
constexpr u32 kData = 0x00, kFlags = 0x18, kLineControl = 0x2c, kControl = 0x30,
              kInterruptMask = 0x38, kInterruptClear = 0x44;
constexpr u32 kReceiveEmpty = 1 << 4, kTransmitFull = 1 << 5;  // flags
constexpr u32 kFifo = 1 << 4, kEightBits = 3 << 5;             // line control
constexpr u32 kOn = 1 << 0, kTransmit = 1 << 8, kReceive = 1 << 9, kRequestToSend = 1 << 11;
constexpr u32 kOnReceive = 1 << 4, kOnPause = 1 << 6;  // the FIFO fills, or the sender pauses
constexpr u32 kPatience = 1'000'000;  // polls before a dead line is given up, about a second

constinit BootConsole port;

volatile u32& at(u32 offset) {
  return *reinterpret_cast<volatile u32*>(port.base + offset);
}

void receive(Receive how) {
  bool held = how == Receive::kHeld;
  at(kControl) = kOn | kTransmit | kReceive | (held ? 0 : kRequestToSend);
  at(kInterruptMask) = how == Receive::kByInterrupt ? kOnReceive | kOnPause : 0;
}

// Keeps the rate that the firmware set, because nothing tells the clock that feeds the divisor.
bool start(const BootConsole& where) {
  port = where;
  at(kControl) = 0;
  at(kInterruptMask) = 0;
  at(kLineControl) = kFifo | kEightBits;
  receive(Receive::kPolled);
  return true;
}

void write(std::string_view text) {
  for (char c : text) {
    for (u32 i = 0; i < kPatience && (at(kFlags) & kTransmitFull) != 0; i++) {
    }
    at(kData) = static_cast<u8>(c);
  }
}

bool has_input() {
  return (at(kFlags) & kReceiveEmpty) == 0;
}

u8 take() {
  return static_cast<u8>(at(kData));
}

void settle() {
  at(kInterruptClear) = kOnReceive | kOnPause;
}

Result<void> route(u32 vector) {
  return route_line_of(port, vector);
}

}  // namespace

constinit const Chip kPl011{
    BootConsole::Kind::kPl011, start, write, has_input, take, settle, receive, route};

}  // namespace serial
