// SPDX-License-Identifier: GPL-2.0-or-later
// Chooses the driver for the version of the GIC, and does what both versions have in common.
#include "arch/aarch64/gic.h"

#include <arch/paging.h>
#include <arch/registers.h>

#include "arch/aarch64/platform.h"
#include "kernel/log.h"

namespace arch::gic {
namespace {

constinit const Driver* driver = nullptr;

u64 distributor() {
  return hardware().gic.distributor;
}

void set_bit(u64 where, u32 number) {
  if (driver != nullptr)
    write_device<u32>(driver->bank(number) + where + number / 32 * 4, u32{1} << number % 32);
}

}  // namespace

u32 line_count() {
  u32 lines = ((read_device<u32>(distributor() + kType) & 31) + 1) * 32;
  return std::min(lines, kFirstSpecial);
}

void init() {
  const boot::Gic& gic = hardware().gic;
  if (gic.version == 0) return log::error("irq", "no GIC was found: no device will be heard");
  constexpr u64 kDistributorBytes = 64 * kKiB;
  MUST(paging::map_device(gic.distributor, kDistributorBytes));
  driver = gic.version == 2 ? &kVersion2 : &kVersion3;
  driver->init(gic);
}

void init_cpu() {
  if (driver == nullptr) return;
  driver->init_cpu();
  if (u32 timer = hardware().virtual_timer.line; timer != 0) enable(timer);
}

u32 acknowledge() {
  u32 number = driver->acknowledge();
  // The acknowledgement must be complete before the device is accessed (IHI 0069, 4.1.1; IHI 0048,
  // 4.4.4).
  asm volatile("dsb sy" : : : "memory");
  return number;
}

void end(u32 number) {
  driver->end(number);
}

// The stores for which the other CPU is woken must be visible before the interrupt is. Without the
// barrier the write that sends it could overtake them (Arm ARM B2.3.12, DSB).
void send(u32 cpu, u64 affinity) {
  asm volatile("dsb ishst" : : : "memory");
  if (driver != nullptr) driver->send(cpu, affinity);
}

void enable(u32 number) {
  set_bit(kEnable, number);
}

void disable(u32 number) {
  set_bit(kDisable, number);
  if (driver != nullptr) driver->settle(number);
}

void set_edge(u32 number, bool edge) {
  if (driver == nullptr || number < kFirstShared) return;
  u64 at = distributor() + kConfiguration + number / 16 * 4;
  u32 bit = 2u << number % 16 * 2;
  u32 others = read_device<u32>(at) & ~bit;
  write_device<u32>(at, others | (edge ? bit : 0));
}

const char* name() {
  return driver == nullptr ? "none" : driver->name;
}

}  // namespace arch::gic
