// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the functions of host.h, which Linux code calls, with the kernel's own services.
#include "drivers/linux/host.h"

#include <arch/paging.h>

#include "drivers/linux/devices.h"
#include "kernel/arch_contract.h"
#include "kernel/base/bytes.h"
#include "kernel/irq/irq.h"
#include "kernel/log.h"
#include "kernel/mm/memory.h"
#include "kernel/panic.h"
#include "kernel/pci/pci.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"
#include "kernel/time/wall_clock.h"

namespace {

constexpr int kNoMemory = -12;  // Linux's ENOMEM, as the shim expects it
constexpr int kNoSpace = -28;   // ENOSPC
constexpr int kInvalid = -22;   // EINVAL

// Sleepers of Linux code, by channel. Two channels may share a queue, because waiters test their
// condition again.
constexpr usize kQueues = 128;  // a power of two
constinit sched::WaitQueue queues[kQueues];
sched::WaitQueue& queue_of(const void* channel) {
  u64 hash = reinterpret_cast<u64>(channel) * 0x9e3779b97f4a7c15;
  return queues[hash >> 57];
}
static_assert(kQueues == 1 << 7);

constinit u32 interrupt_depth = 0;
constinit u64 copied = 0;   // bytes
constinit u64 entropy = 0;  // from random generators; mixed into what drivers get

struct VectorUse {
  void (*handler)(void*);
  void* argument;
};
constinit VectorUse vector_uses[256] = {};
constinit VectorUse* vector_of[256] = {};  // indexed by vector

void on_interrupt(void* context) {
  auto& use = *static_cast<VectorUse*>(context);
  interrupt_depth++;
  use.handler(use.argument);
  interrupt_depth--;
}

u32 bus_of(const pci::Function& f) {
  return u32{f.segment} << 8 | f.bus;
}
u32 devfn_of(const pci::Function& f) {
  return u32{f.device} << 3 | f.function;
}
const pci::Device* device_at(u32 bus, u32 devfn) {
  for (const pci::Device& device : pci::devices())
    if (bus_of(device.function) == bus && devfn_of(device.function) == devfn) return &device;
  return nullptr;
}

}  // namespace

u64 linux_drivers::copied_bytes() {
  return copied;
}

void* shim_host_arena(unsigned long bytes, int anywhere) {
  mm::PageRequest request{.bytes = bytes,
                          .purpose = mm::Purpose::kDrivers,
                          .align = mm::kLargePageBytes,
                          .below = anywhere != 0 ? ~u64{0} : 4 * kGiB,
                          .zeroed = false};
  auto pages = mm::allocate_pages(request);
  return pages.has_value() ? pages->data() : nullptr;
}

void* shim_host_map_device(unsigned long physical, unsigned long bytes, int write_combining) {
  auto cache =
      write_combining != 0 ? arch::paging::Cache::kWriteCombining : arch::paging::Cache::kUncached;
  u64 base = base::round_down(physical, arch::paging::kPageBytes);
  u64 end = base::round_up(physical + bytes, arch::paging::kPageBytes);
  if (!arch::paging::map_device(base, end - base, cache).has_value()) return nullptr;
  return reinterpret_cast<void*>(physical);
}

void* shim_host_memcpy(void* to, const void* from, unsigned long bytes) {
  copied += bytes;
  return __builtin_memcpy(to, from, bytes);
}
void* shim_host_memmove(void* to, const void* from, unsigned long bytes) {
  copied += bytes;
  return __builtin_memmove(to, from, bytes);
}

unsigned long shim_host_ns() {
  return timing::now_ns();
}
unsigned long shim_host_unix_ns() {
  return timing::unix_ns();
}
void shim_host_delay_ns(unsigned long ns) {
  u64 end = timing::now_ns() + ns;
  while (timing::now_ns() < end) arch::Cpu::relax();
}

// For ids and hash keys, not secrets: xorshift over hardware entropy.
void shim_host_random(void* out, unsigned long bytes) {
  u64 state = (arch::Cpu::random_seed() ^ entropy) | 1;
  auto* at = static_cast<Byte*>(out);
  for (unsigned long i = 0; i < bytes; i++) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    at[i] = static_cast<Byte>(state >> 32);
  }
}

void shim_host_add_entropy(const void* bytes, unsigned long count, unsigned long bits) {
  for (Byte b : std::span(static_cast<const Byte*>(bytes), count))
    entropy = (entropy ^ b) * 0x100000001b3;  // FNV-1a's step, which loses no byte
  linux_drivers::count_entropy(bits);
}

void shim_host_log(int level, const char* text) {
  constexpr log::Level kLevels[] = {log::Level::kError, log::Level::kWarn, log::Level::kInfo,
                                    log::Level::kDebug};
  const base::FormatArg line(text);
  log::write(kLevels[level & 3], "linux", "{}", {&line, 1});
}

void shim_host_fatal(const char* symbol) {
  panic("a Linux driver called `{}`, which is not supplied", symbol);
}

int shim_host_spawn(const char* name, void (*entry)(void*), void* argument) {
  return sched::spawn(name, entry, argument).has_value() ? 0 : kNoMemory;
}
void shim_host_wait(const void* channel, unsigned long deadline_ns) {
  if (channel != nullptr) {
    queue_of(channel).wait(deadline_ns);
  } else {
    u64 now = timing::now_ns();
    sched::sleep_ns(deadline_ns > now ? deadline_ns - now : 0);
  }
}
void shim_host_wake(const void* channel) {
  queue_of(channel).wake_all();
}
void shim_host_wake_interfaces() {
  linux_drivers::wake_interfaces();
}
void shim_host_devices_changed() {
  linux_drivers::devices_changed();
}
int shim_host_checks_locks() {
  return MARROW_DEBUG;
}
int shim_host_in_interrupt() {
  return interrupt_depth > 0 ? 1 : 0;
}

int shim_host_alloc_vector(void (*handler)(void*), void* argument) {
  VectorUse* use = nullptr;
  for (VectorUse& row : vector_uses)
    if (row.handler == nullptr && use == nullptr) use = &row;
  if (use == nullptr) return kNoSpace;
  *use = {handler, argument};
  auto vector = irq::allocate("linux", on_interrupt, use);
  if (vector.has_value()) {
    vector_of[*vector] = use;
    return static_cast<int>(*vector);
  }
  use->handler = nullptr;
  return kNoSpace;
}
void shim_host_free_vector(int vector) {
  irq::release(static_cast<u32>(vector));
  if (vector_of[vector] != nullptr) vector_of[vector]->handler = nullptr;
  vector_of[vector] = nullptr;
}
int shim_host_msi_message(int vector, unsigned int bus, unsigned int devfn, unsigned long* address,
                          unsigned int* data) {
  const pci::Device* device = device_at(bus, devfn);
  if (device == nullptr) return kInvalid;
  auto message = irq::message(static_cast<u32>(vector), device->function);
  if (!message.has_value()) return kNoSpace;
  *address = message->address;
  *data = message->data;
  return 0;
}
int shim_host_pin_line(unsigned int bus, unsigned int devfn, unsigned int pin) {
  const pci::Device* device = device_at(bus, devfn);
  if (device == nullptr) return kInvalid;
  auto line = arch::pci_config::pin_line(device->function, static_cast<u8>(pin));
  return line.has_value() ? static_cast<int>(*line) : kInvalid;
}
int shim_host_route_line(unsigned int line, int vector) {
  constexpr irq::Polarity kPolarity =
      arch::pci_config::kPinsActiveLow ? irq::Polarity::kLow : irq::Polarity::kHigh;
  auto routed = irq::route_line(line, static_cast<u32>(vector), irq::Trigger::kLevel, kPolarity);
  return routed.has_value() ? 0 : kInvalid;
}
void shim_host_mask_line(unsigned int line) {
  irq::mask_line(line);
}

unsigned int shim_host_pci_read(unsigned int bus, unsigned int devfn, unsigned int offset,
                                int width) {
  const pci::Device* device = device_at(bus, devfn);
  return device == nullptr ? ~0u : device->read(static_cast<u16>(offset), static_cast<u8>(width));
}
void shim_host_pci_write(unsigned int bus, unsigned int devfn, unsigned int offset, int width,
                         unsigned int value) {
  const pci::Device* device = device_at(bus, devfn);
  if (device != nullptr) device->write(static_cast<u16>(offset), static_cast<u8>(width), value);
}
void shim_host_pci_bar(unsigned int bus, unsigned int devfn, int index, struct shim_bar* out) {
  *out = {};
  const pci::Device* device = device_at(bus, devfn);
  if (device == nullptr || index < 0 || index >= static_cast<int>(pci::kBars)) return;
  const pci::Bar& bar = device->bars[static_cast<usize>(index)];
  if (bar.bytes == 0 || bar.base == 0 || (bar.is_port && !arch::pci_config::kHasPorts)) return;
  *out = {bar.is_port ? SHIM_BAR_PORTS : SHIM_BAR_MEMORY, bar.base, bar.bytes};
}
void shim_host_pci_each(void (*found)(unsigned int bus, unsigned int devfn, void* context),
                        void* context) {
  for (const pci::Device& device : pci::devices())
    if (pci::is_coherent(device))
      found(bus_of(device.function), devfn_of(device.function), context);
}
