// SPDX-License-Identifier: GPL-2.0-or-later
// Drives a 16550, whose registers lie in memory or behind ports. TI PC16550D data sheet.
#pragma once

#include <string_view>

#include "drivers/serial/chip.h"

namespace serial {

// Registers has `static u8 read(u32 number)` and `static void write(u32 number, u8 value)`.
template <class Registers>
class Uart16550 {
 public:
  // Registers 0 and 1 are the divisor while the top bit of the line control is set.
  enum : u32 {
    kData = 0,
    kInterruptEnable = 1,
    kFifoControl = 2,     // when it is written
    kInterruptCause = 2,  // when it is read
    kLineControl = 3,
    kModemControl = 4,
    kLineStatus = 5,
    kScratch = 7,
    kBusyStatus = 31  // of Synopsys' DW_apb_uart alone
  };
  static constexpr u8 kEightBits = 0x03;  // line control: no parity, 1 stop bit
  static constexpr u8 kFifoOn = 0xc7;     // cleared, interrupt at 14 bytes or a pause

  // Sets 8N1. The rate stays as it is.
  static void start() {
    Registers::write(kInterruptEnable, 0);
    Registers::write(kLineControl, kEightBits);
    Registers::write(kFifoControl, kFifoOn);
    receive(Receive::kPolled);
  }

  static void write(std::string_view text) {
    constexpr u32 kFifoBytes = 16;
    u32 room = 0;
    for (char c : text) {
      if (room == 0) {
        wait_for(kTransmitEmpty);
        room = kFifoBytes;
      }
      Registers::write(kData, static_cast<u8>(c));
      room--;
    }
  }

  static bool has_input() { return (Registers::read(kLineStatus) & kReceived) != 0; }
  static u8 take() { return Registers::read(kData); }

  // Taking the bytes withdraws the interrupt. A DW_apb_uart has one more, for a line control that
  // was written in the middle of a byte, which ends when its busy status is read.
  static void settle() {
    constexpr u8 kCause = 15, kBusy = 7;
    if ((Registers::read(kInterruptCause) & kCause) == kBusy)
      static_cast<void>(Registers::read(kBusyStatus));
  }

  static void receive(Receive how) {
    bool open = how != Receive::kHeld;
    Registers::write(kModemControl, open ? kReady | kSend | kOut2 : kReady | kOut2);
    Registers::write(kInterruptEnable, how == Receive::kByInterrupt ? kOnReceive : 0);
  }

  // Returns when the line status has one of these bits, or after about a second: a dead line.
  static void wait_for(u8 bits) {
    constexpr u32 kPatience = 1'000'000;  // polls
    for (u32 i = 0; i < kPatience; i++)
      if ((Registers::read(kLineStatus) & bits) != 0) return;
  }
  static constexpr u8 kAllSent = 1 << 6;  // line status: nothing is on its way out

  static constexpr Chip chip(BootConsole::Kind kind, bool (*start)(const BootConsole&),
                             Result<void> (*route)(u32)) {
    return {kind, start, write, has_input, take, settle, receive, route};
  }

 private:
  static constexpr u8 kReceived = 1 << 0, kTransmitEmpty = 1 << 5;  // line status
  static constexpr u8 kOnReceive = 1 << 0;                          // interrupt enable
  // Modem control: DTR, RTS, and the gate of the interrupt line.
  static constexpr u8 kReady = 1 << 0, kSend = 1 << 1, kOut2 = 1 << 3;
};

}  // namespace serial
