// SPDX-License-Identifier: GPL-2.0-or-later
// Watches the button's bit in the PM1 event registers and the system control interrupt. ACPI 6.5,
// 4.8.3.1.
#include <arch/interrupts.h>
#include <arch/port_io.h>
#include <arch/power_button.h>

#include "arch/x86_64/platform.h"
#include "arch/x86_64/power.h"
#include "kernel/irq/irq.h"

namespace arch {
namespace {

constexpr u16 kButton = 1 << 8;  // in the status and the enable register

// Status words, each followed by its enable word. Either block may be missing.
struct Event {
  u16 status = 0, enable = 0;  // ports; 0 = not present
};
constinit Event events[2];
using Handler = void (*)();
constinit Handler on_press = nullptr;

Event event_at(const acpi::Register& r) {
  if (r.space != acpi::Register::Space::kPort || r.bytes < 4) return {};
  auto port = static_cast<u16>(r.address);
  return {port, static_cast<u16>(port + r.bytes / 2)};
}

void on_interrupt(void*) {
  for (const Event& e : events) {
    if (e.status == 0 || (in16(e.status) & kButton) == 0) continue;
    out16(e.status, kButton);  // cleared by writing it
    on_press();
  }
}

// The line is level-triggered and active low, unless the firmware says otherwise.
Result<void> route(u32 line, u32 vector) {
  for (const acpi::LineOverride& o : firmware().overrides)
    if (o.isa_line == line) return interrupts::route_isa(line, vector);
  return irq::route_line(line, vector, irq::Trigger::kLevel, irq::Polarity::kLow);
}

}  // namespace

Result<void> watch_power_button(void (*pressed)()) {
  const acpi::FixedHardware& f = firmware().fixed;
  if (!f.present || f.reduced || !f.has_power_button)
    return fail(Errc::kNotFound, "no fixed power button: `poweroff` does it");
  events[0] = event_at(f.pm1a_event);
  events[1] = event_at(f.pm1b_event);
  if (events[0].status == 0) return fail(Errc::kNotFound, "no PM1 event registers");
  enable_acpi();  // until then the firmware itself handles the button
  on_press = pressed;
  u32 vector = TRY(irq::allocate("power button", on_interrupt, nullptr));
  for (const Event& e : events) {
    if (e.status == 0) continue;
    out16(e.status, kButton);  // clears an earlier press
    out16(e.enable, kButton);  // enables nothing else, because nothing would handle it
  }
  return route(f.sci_line, vector);
}

}  // namespace arch
