// SPDX-License-Identifier: GPL-2.0-or-later
// Pages of RAM, each with a purpose, so that `mem` can account for every byte of the machine.
//
// Implemented by kernel/mm/memory.cpp (the machine) and arch/host/pages.cpp (the twin, with mmap).
// Memory is identity-mapped: a page's pointer is its physical address.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/format.h"
#include "kernel/base/result.h"

struct BootInfo;

namespace mm {

constexpr usize kPageBytes = 4096;
constexpr usize kLargePageBytes = usize{2} << 20;

// kAbsent is no RAM (a hole between ranges). kFirmware is RAM that must not be touched.
enum class Purpose : u8 {
  kAbsent,
  kFree,
  kFirmware,
  kBad,
  kKernel,      // the image: text, data, bss, boot stacks
  kBoot,        // what the loader left: command line, ACPI tables
  kPageMap,     // this allocator's own map
  kPageTables,  // the CPU's page tables
  kModel,       // a model file where the loader put it
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
// Returns kKvCache for "KV cache", in any letter case. Unknown names give `fallback`.
Purpose purpose_from_name(std::string_view name, Purpose fallback);

// Takes over the loader's memory map. It touches only its own map of pages, not all RAM.
void init(const BootInfo& boot);

struct PageRequest {
  usize bytes;  // rounded up to whole pages
  Purpose purpose;
  usize align = kPageBytes;  // a power of two
  u64 below = ~u64{0};       // the run must end at or below this address (32-bit DMA)
  bool zeroed = true;
  // Called now and then while a long run is cleared; may let other threads run.
  void (*pause)() = nullptr;
};

// Returns the whole run, a multiple of kPageBytes. For threads of CPU 0; waits only where `pause`
// does.
Result<std::span<Byte>> allocate_pages(const PageRequest& request);
// Frees exactly what allocate_pages() returned, or whole pages of it.
void free_pages(std::span<Byte> pages);

struct Usage {
  u64 bytes[static_cast<usize>(Purpose::kCount)] = {};
  u64 total = 0;  // the machine's RAM: the sum of everything but kAbsent
  u64 of(Purpose purpose) const { return bytes[static_cast<usize>(purpose)]; }
};
Usage usage();
// Counts every page again. Fails if the result differs from usage().
Result<void> verify();

struct HeapUsage {
  u64 live_bytes = 0;  // requested and not freed
  u64 live_allocations = 0;
  u64 total_allocations = 0;
};
HeapUsage heap_usage();
// Walks the heap's blocks; the error names the first one that was overrun. The twin has nothing to
// walk.
Result<void> verify_heap();

// Prints the table of `mem`. print_ranges() prints the runs of pages of one purpose, by address.
void print_usage(base::Writer& out);
void print_ranges(base::Writer& out);

}  // namespace mm
