// SPDX-License-Identifier: GPL-2.0-or-later
// Drives the 16550 at COM1: polled output, input by interrupt into a ring. TI PC16550D data sheet.
#include <arch/interrupts.h>
#include <arch/port_io.h>

#include "drivers/serial/receive_ring.h"
#include "drivers/serial/serial.h"
#include "kernel/dev/terminal.h"
#include "kernel/irq/irq.h"
#include "kernel/sync/lock.h"

namespace serial {
namespace {

constexpr u16 kBase = 0x3f8;
// Register offsets; 0 and 1 are the divisor while the line control's top bit is set.
constexpr u16 kData = 0, kInterruptEnable = 1, kFifoControl = 2, kLineControl = 3,
              kModemControl = 4, kLineStatus = 5, kScratch = 7;
constexpr u8 kReceived = 1 << 0;       // line status
constexpr u8 kTransmitEmpty = 1 << 5;  // line status
constexpr u32 kFifoBytes = 16;
constexpr u32 kPatience = 1'000'000;  // polls before a dead line is given up, about a second

bool found = false;

constinit ReceiveRing ring;

constexpr u8 kOnReceive = 1 << 0;  // interrupt enable
// Modem control: DTR, RTS, and the gate of the interrupt line.
constexpr u8 kReady = 1 << 0, kSend = 1 << 1, kOut2 = 1 << 3;
constinit bool by_interrupt = false, held = false;

// Holds the sender when the ring is full: bytes stay in the device, RTS falls, and the receive
// interrupt is off until the console has made room. A sender that ignores both loses bytes in the
// device.
void hold(bool now) {
  if (now == held) return;
  held = now;
  arch::out8(kBase + kModemControl, now ? kReady | kOut2 : kReady | kSend | kOut2);
  arch::out8(kBase + kInterruptEnable, now || !by_interrupt ? 0 : kOnReceive);
}

void drain() {
  while (!ring.full() && (arch::in8(kBase + kLineStatus) & kReceived) != 0)
    ring.put(arch::in8(kBase + kData));
  hold(ring.full());
}

// Waits until the transmit FIFO is empty; then kFifoBytes may be written at once.
void wait_for_room() {
  for (u32 i = 0; i < kPatience; i++)
    if ((arch::in8(kBase + kLineStatus) & kTransmitEmpty) != 0) return;
}

void on_interrupt(void*) {
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

// Does not use its argument, because COM1 lies at a fixed place. Sets 115200 baud.
void init(const BootConsole&) {
  arch::out8(kBase + kScratch, 0x5a);
  found = arch::in8(kBase + kScratch) == 0x5a;
  if (!found) return;
  arch::out8(kBase + kInterruptEnable, 0);
  arch::out8(kBase + kLineControl, 0x80);
  arch::out8(kBase + kData, 1);  // 115200 baud
  arch::out8(kBase + kInterruptEnable, 0);
  arch::out8(kBase + kLineControl, 0x03);  // 8 bits, no parity, 1 stop bit
  arch::out8(kBase + kFifoControl, 0xc7);  // on, cleared, interrupt at 14 bytes or a pause
  arch::out8(kBase + kModemControl, kReady | kSend | kOut2);
}

bool present() {
  return found;
}

void write(std::string_view text) {
  if (!found) return;
  u32 room = 0;
  for (char c : text) {
    if (room == 0) {
      wait_for_room();
      room = kFifoBytes;
    }
    arch::out8(kBase + kData, static_cast<u8>(c));
    room--;
  }
}

int read() {
  locks::InterruptsOff off;  // so that no byte overtakes one that the interrupt has just stored
  if (int byte = ring.take(); byte >= 0) {
    if (held && ring.empty()) hold(false);
    return byte;
  }
  // Polls, too: before the interrupt is routed, and in a panic, where there are no interrupts.
  if (!found || (arch::in8(kBase + kLineStatus) & kReceived) == 0) return -1;
  return arch::in8(kBase + kData);
}

Result<void> enable_interrupt() {
  constexpr u32 kIsaLine = 4;
  if (!found) return fail(Errc::kNotFound, "no serial line");
  u32 vector = TRY(irq::allocate("serial", on_interrupt, nullptr));
  Result<void> routed = arch::interrupts::route_isa(kIsaLine, vector);
  if (!routed.has_value()) {
    irq::release(vector);
    return routed;
  }
  by_interrupt = true;
  arch::out8(kBase + kInterruptEnable, kOnReceive);
  return {};
}

CharDevice& device() {
  return uart;
}

}  // namespace serial
