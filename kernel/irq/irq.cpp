// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the table of vectors. Rows are changed with interrupts off, so a handler never sees a
// half-written row.
#include "kernel/irq/irq.h"

#include <array>

#include "kernel/sync/lock.h"

namespace irq {
namespace {

using arch::interrupts::kFirstDeviceVector;
using arch::interrupts::kLastDeviceVector;

struct Row {
  const char* name = nullptr;  // null: the vector is free
  Handler handler = nullptr;
  void* context = nullptr;
  u64 count = 0;
};
constinit std::array<Row, 256> rows{};
constinit u64 stray = 0;  // interrupts without a handler

}  // namespace

Result<u32> allocate(const char* name, Handler handler, void* context) {
  locks::InterruptsOff off;
  for (u32 vector = kFirstDeviceVector; vector <= kLastDeviceVector; vector++) {
    if (rows[vector].name != nullptr) continue;
    rows[vector] = {name, handler, context, 0};
    return vector;
  }
  return fail(Errc::kFull, "all interrupt vectors are in use");
}

void release(u32 vector) {
  locks::InterruptsOff off;
  arch::interrupts::forget_message(vector);
  rows[vector] = {};
}

Result<Message> message(u32 vector, const arch::pci_config::Function& device) {
  return arch::interrupts::message(vector, device);
}

Result<void> route_line(u32 global_line, u32 vector, Trigger trigger, Polarity polarity) {
  return arch::interrupts::route_line(global_line, {.vector = vector,
                                                    .level = trigger == Trigger::kLevel,
                                                    .active_low = polarity == Polarity::kLow});
}

void mask_line(u32 global_line) {
  arch::interrupts::mask_line(global_line);
}

void dispatch(u32 vector) {
  Row& row = rows[vector];
  if (row.handler == nullptr) {
    stray++;
  } else {
    row.count++;
    row.handler(row.context);
  }
}

void list(base::Writer& out) {
  for (u32 vector = kFirstDeviceVector; vector <= kLastDeviceVector; vector++)
    if (rows[vector].name != nullptr)
      base::format_to(out, "{:>4} {:>12} {}\n", vector, rows[vector].count, rows[vector].name);
  base::format_to(out, "     {:>12} nobody's\n", stray);
}

}  // namespace irq
