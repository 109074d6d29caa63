// SPDX-License-Identifier: GPL-2.0-or-later
// Pages of RAM, each with a purpose, so that `mem` can say where every byte of the machine went.
//
// Implemented by kernel/mm/memory.cpp (the machine) and arch/host/pages.cpp (the twin, by mmap).
// Addresses are identity-mapped: a page's physical address is its pointer.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/format.h"
#include "kernel/base/result.h"

struct BootInfo;

namespace mm {

constexpr usize kPageBytes = 4096;
constexpr usize kLargePageBytes = usize{2} << 20;

// kAbsent is no RAM at all (a hole between ranges); kFirmware is RAM we must leave alone.
enum class Purpose : u8 {
  kAbsent,
  kFree,
  kFirmware,
  kBad,
  kKernel,      // the image: text, data, bss, boot stacks
  kBoot,        // what the loader left: command line, ACPI tables
  kPageMap,     // this allocator's own map
  kPageTables,  // of the CPU
  kModel,       // a model file as the loader placed it
  kModule,      // other boot modules
  kWeights,
  kKvCache,
  kEngine,
  kHeap,
  kStacks,
  kTrace,
  kDma,
  kDrivers,
  kNetwork,
  kFiles,
  kOther,
  kCount,
};

const char* purpose_name(Purpose purpose);
// "KV cache" gives kKvCache, whatever the case; a name that no row has gives `fallback`.
Purpose purpose_from_name(std::string_view name, Purpose fallback);

// Takes over the loader's map. Touches only its own map of pages, never all RAM.
void init(const BootInfo& boot);

struct PageRequest {
  usize bytes;  // rounded up to whole pages
  Purpose purpose;
  usize align = kPageBytes;  // a power of two
  u64 below = ~u64{0};       // the run ends at or before this address (32-bit DMA)
  bool zeroed = true;
  void (*pause)() = nullptr;  // called now and then while a long run is cleared
};

// Thread context of CPU 0. The span is the whole run, a multiple of kPageBytes.
Result<std::span<Byte>> allocate_pages(const PageRequest& request);
// Exactly what allocate_pages returned, or whole pages out of it.
void free_pages(std::span<Byte> pages);

struct Usage {
  u64 bytes[static_cast<usize>(Purpose::kCount)] = {};
  u64 total = 0;  // RAM of the machine: the sum of all but kAbsent
  u64 of(Purpose purpose) const { return bytes[static_cast<usize>(purpose)]; }
};
Usage usage();
// Counts every page again; fails when that differs from the running figures of usage().
Result<void> verify();

struct HeapUsage {
  u64 live_bytes = 0;  // asked for and not freed
  u64 live_allocations = 0;
  u64 total_allocations = 0;
};
HeapUsage heap_usage();
// Walks the heap's blocks; an error names the first that was overrun. Nothing to see on the twin.
Result<void> verify_heap();

// The table of `mem`; with `ranges` also runs of pages of one purpose, in address order.
void print_usage(base::Writer& out);
void print_ranges(base::Writer& out);

}  // namespace mm
