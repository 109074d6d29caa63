// SPDX-License-Identifier: GPL-2.0-or-later
// The machine's memory: the page map over the loader's ranges, and the kernel heap on top of it.
// For threads of CPU 0; interrupts are off inside, because drivers allocate in their handlers.
#include "kernel/mm/memory.h"

#include "boot/boot_info.h"
#include "kernel/arch_contract.h"
#include "kernel/base/bytes.h"
#include "kernel/base/memory.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/page_map.h"
#include "kernel/symbols.h"
#include "kernel/sync/lock.h"
#include "kernel/trial.h"

// From the linker script.
extern "C" const Byte __kernel_start[], __kernel_end[];

namespace mm {
namespace {

constinit PageMap map;
constinit Heap heap;

struct Reserved {
  u64 base, bytes;
  Purpose purpose;
};
using ReservedList = StaticVector<Reserved, kMostBootModules + 8>;

Purpose purpose_of_module(const BootModule& module) {
  constexpr std::string_view kMagic = "GGUF";
  bool model = module.size >= kMagic.size() &&
               std::memcmp(reinterpret_cast<const void*>(module.base), kMagic.data(), 4) == 0;
  return model ? Purpose::kModel : Purpose::kModule;
}

// Returns the ranges of usable memory that are in use already.
ReservedList reserved_by_boot(const BootInfo& boot) {
  ReservedList list;
  auto add = [&](u64 base, u64 bytes, Purpose purpose) {
    if (bytes > 0 && !list.push_back({base, bytes, purpose}))
      log::error("memory", "the list of boot memory is full");
  };
  u64 start = reinterpret_cast<u64>(__kernel_start);
  add(start, reinterpret_cast<u64>(__kernel_end) - start, Purpose::kKernel);
  // the BIOS's data, and the code with which other CPUs start in real mode
  add(0, 64 * kKiB, Purpose::kBoot);
  add(reinterpret_cast<u64>(trial::record_room()), trial::record_room() == nullptr ? 0 : kPageBytes,
      Purpose::kBoot);
  for (const BootModule& m : boot.modules) add(m.base, m.size, purpose_of_module(m));
  if (boot.framebuffer.base != 0)
    add(boot.framebuffer.base, u64{boot.framebuffer.pitch} * boot.framebuffer.height,
        Purpose::kFirmware);
  return list;
}

// Finds the first place above 1 MiB for the map itself that overlaps nothing reserved.
u64 place_for_map(const BootInfo& boot, const ReservedList& reserved, u64 bytes) {
  auto free_from = [&](u64 at) -> u64 {  // 0 = free, otherwise the end of the obstacle
    for (const Reserved& r : reserved)
      if (r.base < at + bytes && at < r.base + r.bytes)
        return base::round_up(r.base + r.bytes, kPageBytes);
    for (const MemoryRange& r : boot.memory)
      if (r.kind != MemoryKind::kUsable && r.base < at + bytes && at < r.base + r.size)
        return base::round_up(r.base + r.size, kPageBytes);
    return 0;
  };
  for (const MemoryRange& range : boot.memory) {
    if (range.kind != MemoryKind::kUsable || range.base + range.size <= kMiB) continue;
    u64 at = base::round_up(std::max(range.base, kMiB), kPageBytes);
    while (at + bytes <= range.base + range.size) {
      u64 obstacle_end = free_from(at);
      if (obstacle_end == 0) return at;
      at = obstacle_end;
    }
  }
  return 0;
}

std::span<Byte> take_arena(void*, usize bytes) {
  auto address =
      map.allocate({(bytes + kPageBytes - 1) / kPageBytes, kPageBytes, ~u64{0}}, Purpose::kHeap);
  if (!address.has_value()) return {};
  return {reinterpret_cast<Byte*>(*address), base::round_up(bytes, kPageBytes)};
}

void give_back_arena(void*, std::span<Byte> pages) {
  map.free(reinterpret_cast<u64>(pages.data()), pages.size() / kPageBytes);
}

void report_late_write(void*, const LateWrite& found) {
  auto address = reinterpret_cast<u64>(found.freed_by);
  const char* name = symbols::find(address).name;
  log::error("heap", "{} bytes at {} were written to at offset {} after {} ({:#x}) freed them",
             found.bytes, found.memory, found.offset, name == nullptr ? "somebody" : name, address);
}

// In debug builds freed pages are filled, so that code which still reads them sees nonsense. Longer
// runs are model files and caches, and filling them would take longer than loading them.
constexpr usize kMostPoisoned = 2 * kMiB;
constexpr Byte kPagePoison = 0xdd;

}  // namespace

void init(const BootInfo& boot) {
  RamExtent extent = ram_extent(boot.memory.view());
  ReservedList reserved = reserved_by_boot(boot);
  u64 bytes = base::round_up(PageMap::storage_bytes(extent), kPageBytes);
  u64 place = place_for_map(boot, reserved, bytes);
  ASSERT(place != 0);  // otherwise the machine has less RAM than its own page map needs
  map.init({reinterpret_cast<Byte*>(place), bytes}, extent);
  map.take_ranges(boot.memory.view(), extent);
  for (const Reserved& r : reserved) map.mark(r.base, r.bytes, r.purpose);
  map.mark(place, bytes, Purpose::kPageMap);
  heap.init({take_arena, give_back_arena, nullptr, report_late_write},
            MARROW_DEBUG != 0 ? Heap::RedZones::kYes : Heap::RedZones::kNo);
  log::info("memory", "{} MiB of RAM, {} MiB free", usage().total / kMiB,
            usage().of(Purpose::kFree) / kMiB);
}

namespace {
void clear(std::span<Byte> run, void (*pause)()) {
  constexpr usize kPiece = 2 * kMiB;  // 0.2 ms at 10 GB/s
  for (; !run.empty(); run = run.subspan(std::min(run.size(), kPiece))) {
    std::memset(run.data(), 0, std::min(run.size(), kPiece));
    if (pause != nullptr) pause();
  }
}
}  // namespace

Result<std::span<Byte>> allocate_pages(const PageRequest& request) {
  ASSERT(arch::Cpu::cpu_index() == 0);
  usize pages = std::max<usize>(request.bytes / kPageBytes + (request.bytes % kPageBytes != 0), 1);
  u64 address = 0;
  {
    locks::InterruptsOff off;
    address = TRY(
        map.allocate({pages, std::max(request.align, kPageBytes), request.below}, request.purpose));
  }
  std::span<Byte> run(reinterpret_cast<Byte*>(address), pages * kPageBytes);
  if (request.zeroed) clear(run, request.pause);
  return run;
}

void free_pages(std::span<Byte> pages) {
  ASSERT(arch::Cpu::cpu_index() == 0);
  if (MARROW_DEBUG != 0 && pages.size() <= kMostPoisoned)
    std::memset(pages.data(), kPagePoison, pages.size());
  locks::InterruptsOff off;
  map.free(reinterpret_cast<u64>(pages.data()), pages.size() / kPageBytes);
}

Usage usage() {
  Usage u;
  for (usize i = 0; i < static_cast<usize>(Purpose::kCount); i++) {
    u.bytes[i] = map.pages_of(static_cast<Purpose>(i)) * kPageBytes;
    if (static_cast<Purpose>(i) != Purpose::kAbsent) u.total += u.bytes[i];
  }
  return u;
}

Result<void> verify() {
  TRY(map.verify());
  if (usage().of(Purpose::kHeap) != heap.arena_bytes())
    return fail(Errc::kCorrupt, "the heap's pages are not those that the page map gave it");
  return {};
}

HeapUsage heap_usage() {
  return heap.usage();
}

Result<void> verify_heap() {
  const void* where = nullptr;
  auto checked = heap.verify(&where);
  if (!checked.has_value()) log::error("heap", "{} at {}", checked.error(), where);
  return checked;
}

void print_ranges(base::Writer& out) {
  for (const PageMap::Segment& segment : map.segments()) {
    u64 first = segment.begin;
    for (u64 page = first + kPageBytes; page <= segment.end(); page += kPageBytes) {
      if (page < segment.end() && map.at(page) == map.at(first)) continue;
      if (map.at(first) != Purpose::kAbsent)
        base::format_to(out, "{:012x}-{:012x} {:>10} KiB {}\n", first, page - 1,
                        (page - first) / kKiB, purpose_name(map.at(first)));
      first = page;
    }
  }
}

}  // namespace mm

namespace base {

void* allocate(usize bytes, usize align) {
  locks::InterruptsOff off;
  return mm::heap.allocate(bytes, align);
}

void deallocate(void* memory) {
  const void* freed_by = __builtin_return_address(0);
  locks::InterruptsOff off;
  mm::heap.deallocate(memory, freed_by);
}

}  // namespace base
