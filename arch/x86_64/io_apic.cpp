// SPDX-License-Identifier: GPL-2.0-or-later
// Drives I/O APICs, which have one redirection entry per line. Intel 82093AA data sheet, chapter 3.
#include "arch/x86_64/io_apic.h"

#include <arch/interrupts.h>
#include <arch/paging.h>
#include <arch/port_io.h>

#include "arch/x86_64/apic.h"
#include "kernel/log.h"
#include "kernel/sync/lock.h"

namespace arch {
namespace io_apic {
namespace {

constexpr u32 kVersion = 1, kRedirections = 0x10;
constexpr u32 kDeliverNmi = 4 << 8;
constexpr u32 kActiveLow = 1 << 13, kLevel = 1 << 15, kMasked = 1 << 16;

struct Controller {
  u64 base;
  u32 first_line;
  u32 lines;
};
constinit StaticVector<Controller, acpi::kMaxIoApics> controllers;
constinit StaticVector<acpi::LineOverride, 16> overrides;
constinit u32 boot_apic_id = 0;

// Access takes two registers: the index is selected first, then the window is used. A handler that
// masks a line in between would leave another index selected, so after init() the callers keep
// interrupts off. Only CPU 0 comes here.
u32 read(u64 base, u32 index) {
  *reinterpret_cast<volatile u32*>(base) = index;
  return *reinterpret_cast<volatile u32*>(base + 0x10);
}
void write(u64 base, u32 index, u32 value) {
  *reinterpret_cast<volatile u32*>(base) = index;
  *reinterpret_cast<volatile u32*>(base + 0x10) = value;
}

const Controller* find(u32 line) {
  for (const Controller& c : controllers)
    if (line >= c.first_line && line - c.first_line < c.lines) return &c;
  return nullptr;
}

void add(const acpi::IoApic& io) {
  if (!paging::map_device(io.address, paging::kPageBytes).has_value())
    return log::warn("irq", "io apic at {:x} could not be mapped", io.address);
  u32 lines = (read(io.address, kVersion) >> 16 & 0xff) + 1;
  if (!controllers.push_back({io.address, io.first_line, lines}))
    return log::warn("irq", "more than {} io apics: the rest is ignored", controllers.capacity());
  for (u32 i = 0; i < lines; i++) write(io.address, kRedirections + 2 * i, kMasked);
}

// Moves the 8259 pair away from the fault vectors, then masks it for ever.
void silence_legacy() {
  constexpr u16 kMaster = 0x20, kSlave = 0xa0;
  constexpr u8 kInit = 0x11, k8086Mode = 0x01;
  out8(kMaster, kInit);
  out8(kSlave, kInit);
  out8(kMaster + 1, 0x20);  // vectors 32..47 have no handler, so a stray interrupt is only counted
  out8(kSlave + 1, 0x28);
  out8(kMaster + 1, 1 << 2);  // the slave is connected to line 2
  out8(kSlave + 1, 2);
  out8(kMaster + 1, k8086Mode);
  out8(kSlave + 1, k8086Mode);
  out8(kMaster + 1, 0xff);
  out8(kSlave + 1, 0xff);
}

}  // namespace

void init(const acpi::Tables& tables) {
  boot_apic_id = apic::id();
  overrides = tables.overrides;
  silence_legacy();
  for (const acpi::IoApic& io : tables.io_apics) add(io);
}

}  // namespace io_apic

namespace interrupts {

using io_apic::find;

// Intel SDM vol. 3, 11.11.
Result<Message> message(u32 vector, const pci_config::Function&) {
  return Message{0xfee00000 | u64{io_apic::boot_apic_id & 0xff} << 12, vector};
}

Result<void> route_line(u32 global_line, Route route) {
  const io_apic::Controller* c = find(global_line);
  if (c == nullptr) return fail(Errc::kNotFound, "no interrupt controller has this line");
  u32 entry = io_apic::kRedirections + 2 * (global_line - c->first_line);
  u32 low = route.vector | (route.level ? io_apic::kLevel : 0) |
            (route.active_low ? io_apic::kActiveLow : 0) |
            (route.delivery == Delivery::kNmi ? io_apic::kDeliverNmi : 0);
  locks::InterruptsOff off;
  io_apic::write(c->base, entry + 1, io_apic::boot_apic_id << 24);
  io_apic::write(c->base, entry, low);
  return {};
}

void mask_line(u32 global_line) {
  const io_apic::Controller* c = find(global_line);
  if (c == nullptr) return;
  u32 entry = io_apic::kRedirections + 2 * (global_line - c->first_line);
  locks::InterruptsOff off;
  io_apic::write(c->base, entry, io_apic::read(c->base, entry) | io_apic::kMasked);
}

IsaLine isa_line(u32 isa_line) {
  for (const acpi::LineOverride& o : io_apic::overrides)
    if (o.isa_line == isa_line) return {o.global_line, o.level, o.active_low};
  return {isa_line, false, false};
}

Result<void> route_isa(u32 number, u32 vector) {
  IsaLine line = isa_line(number);
  return route_line(line.global_line,
                    {.vector = vector, .level = line.level, .active_low = line.active_low});
}

}  // namespace interrupts
}  // namespace arch
