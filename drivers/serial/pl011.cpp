// SPDX-License-Identifier: GPL-2.0-or-later
// Drives the PL011: polled output, input by interrupt into a ring. ARM DDI 0183, chapter 3.
#include <arch/paging.h>

#include "drivers/serial/receive_ring.h"
#include "drivers/serial/serial.h"
#include "kernel/dev/terminal.h"
#include "kernel/irq/irq.h"
#include "kernel/sync/lock.h"

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
constinit ReceiveRing ring;
constinit bool by_interrupt = false, held = false;

volatile u32& at(u32 offset) {
  return *reinterpret_cast<volatile u32*>(port.base + offset);
}

// Holds the sender when the ring is full: bytes stay in the device, RTS falls, and the receive
// interrupt is off until the console has made room.
void hold(bool now) {
  if (now == held) return;
  held = now;
  at(kControl) = kOn | kTransmit | kReceive | (now ? 0 : kRequestToSend);
  at(kInterruptMask) = now || !by_interrupt ? 0 : kOnReceive | kOnPause;
}

void drain() {
  while (!ring.full() && (at(kFlags) & kReceiveEmpty) == 0) ring.put(static_cast<u8>(at(kData)));
  hold(ring.full());
}

void on_interrupt(void*) {
  at(kInterruptClear) = kOnReceive | kOnPause;
  drain();
  terminal::input_arrived();
}

class Uart final : public CharDevice {
 public:
  const char* name() const override { return "serial"; }
  bool announces_input() const override { return by_interrupt; }
  void write(std::string_view text) override { serial::write(text); }
  int read() override { return serial::read(); }
};
constinit Uart uart;

}  // namespace

// Keeps the rate that the firmware set, because nothing tells the clock that feeds the divisor.
void init(const BootConsole& where) {
  if (where.kind == BootConsole::Kind::kPl011) port = where;
  if (!present()) return;
  at(kControl) = 0;
  at(kInterruptMask) = 0;
  at(kLineControl) = kFifo | kEightBits;
  at(kControl) = kOn | kTransmit | kReceive | kRequestToSend;
}

bool present() {
  return port.base != 0;
}

void write(std::string_view text) {
  if (!present()) return;
  for (char c : text) {
    for (u32 i = 0; i < kPatience && (at(kFlags) & kTransmitFull) != 0; i++) {
    }
    at(kData) = static_cast<u8>(c);
  }
}

int read() {
  locks::InterruptsOff off;  // so that no byte overtakes one that the interrupt has just stored
  if (int byte = ring.take(); byte >= 0) {
    if (held && ring.empty()) hold(false);
    return byte;
  }
  // Polls, too: before the interrupt is routed, and in a panic, where there are no interrupts.
  if (!present() || (at(kFlags) & kReceiveEmpty) != 0) return -1;
  return static_cast<u8>(at(kData));
}

Result<void> enable_interrupt() {
  if (!present() || port.line == 0) return fail(Errc::kNotFound, "no serial line");
  u32 vector = TRY(irq::allocate("serial", on_interrupt, nullptr));
  Result<void> routed =
      irq::route_line(port.line, vector, irq::Trigger::kLevel, irq::Polarity::kHigh);
  if (!routed.has_value()) {
    irq::release(vector);
    return routed;
  }
  by_interrupt = true;
  at(kInterruptMask) = kOnReceive | kOnPause;
  return {};
}

CharDevice& device() {
  return uart;
}

}  // namespace serial
