// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps the console's serial line: output by polling, input by interrupt into a ring.
#include "drivers/serial/serial.h"

#include "drivers/serial/chip.h"
#include "drivers/serial/receive_ring.h"
#include "kernel/dev/terminal.h"
#include "kernel/irq/irq.h"
#include "kernel/sync/lock.h"

namespace serial {
namespace {

constinit const Chip* chip = nullptr;
constinit ReceiveRing ring;
constinit bool by_interrupt = false, held = false;

// Holds the sender while the ring is full. A sender that ignores RTS loses bytes in the chip.
void hold(bool now) {
  if (now == held) return;
  held = now;
  chip->receive(now ? Receive::kHeld : by_interrupt ? Receive::kByInterrupt : Receive::kPolled);
}

void on_interrupt(void*) {
  chip->settle();
  while (!ring.full() && chip->has_input()) ring.put(chip->take());
  hold(ring.full());
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

void init(const BootConsole& port) {
  for (const Chip* row : chips())
    if (row->kind == port.kind && row->start(port)) chip = row;
}

bool present() {
  return chip != nullptr;
}

void write(std::string_view text) {
  if (chip != nullptr) chip->write(text);
}

int read() {
  if (chip == nullptr) return -1;
  locks::InterruptsOff off;  // so that no byte overtakes one that the interrupt has just stored
  if (int byte = ring.take(); byte >= 0) {
    if (held && ring.empty()) hold(false);
    return byte;
  }
  // Polls, too: before the interrupt is routed, and in a panic, where there are no interrupts.
  return chip->has_input() ? chip->take() : -1;
}

Result<void> enable_interrupt() {
  if (chip == nullptr) return fail(Errc::kNotFound, "no serial line");
  u32 vector = TRY(irq::allocate("serial", on_interrupt, nullptr));
  Result<void> routed = chip->route(vector);
  if (!routed.has_value()) {
    irq::release(vector);
    return routed;
  }
  by_interrupt = true;
  chip->receive(Receive::kByInterrupt);
  return {};
}

Result<void> route_line_of(const BootConsole& port, u32 vector) {
  if (port.line == 0) return fail(Errc::kNotFound, "the firmware names no line for it");
  return irq::route_line(port.line, vector, irq::Trigger::kLevel, irq::Polarity::kHigh);
}

CharDevice& device() {
  return uart;
}

}  // namespace serial
