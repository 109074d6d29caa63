// SPDX-License-Identifier: GPL-2.0-or-later
// The physical allocator: one byte per page tells its purpose, and one counter per 2 MiB run tells
// how many of its pages are free. Pure: it never touches the pages themselves.
#pragma once

#include <span>

#include "boot/boot_info.h"
#include "kernel/mm/memory.h"

namespace mm {

constexpr usize kPagesPerRun = kLargePageBytes / kPageBytes;

// Where RAM begins and ends, as a loader's map tells it: below 4 GiB, including the firmware's part
// at its top, and above.
struct RamExtent {
  u64 begin = 0;     // bytes, a multiple of 2 MiB
  u64 low_end = 0;   // RAM is [begin, low_end)
  u64 high_end = 0;  // RAM above 4 GiB that the map lists is in [4 GiB, high_end); 0 = none
  // The larger of the two: a range may begin below 4 GiB and end above all others.
  u64 end() const { return low_end > high_end ? low_end : high_end; }
};
RamExtent ram_extent(std::span<const MemoryRange> ranges);

class PageMap {
 public:
  static usize storage_bytes(const RamExtent& extent);
  // `storage` is 8-byte aligned and storage_bytes(extent) long. Every page becomes kAbsent.
  void init(std::span<Byte> storage, const RamExtent& extent);
  // Marks usable pages of the loader's map as free, and the rest of RAM as kFirmware.
  void take_ranges(std::span<const MemoryRange> ranges, const RamExtent& extent);
  // Marks every page that [base, base + bytes) touches, if it is RAM.
  void mark(u64 base, u64 bytes, Purpose purpose);

  struct Search {
    usize pages;
    u64 align;  // bytes, a power of two
    u64 below;  // the run must end at or below this
  };
  // Returns the address of the highest run that fits, or kOutOfMemory. Runs of 2 MiB or more start
  // on a 2 MiB boundary; smaller ones go where a 2 MiB run is partly used already.
  Result<u64> allocate(const Search& search, Purpose purpose);
  // Every page must be allocated; a double free is an assertion.
  void free(u64 base, usize pages);

  Purpose at(u64 address) const;
  u64 pages_of(Purpose purpose) const { return counts_[static_cast<usize>(purpose)]; }
  u64 begin() const { return begin_; }
  u64 end() const { return begin_ + purposes_.size() * kPageBytes; }
  // Counts everything again from the map. Returns kCorrupt if a counter is wrong.
  Result<void> verify() const;

 private:
  Result<u64> allocate_small(const Search& search) const;
  Result<u64> allocate_large(const Search& search) const;
  Result<u64> fit_in_run(usize run, const Search& search) const;
  bool free_pages_from(usize page, usize count) const;
  void set(usize first_page, usize count, Purpose purpose);

  // Pages are counted from `begin_` on, so the bytes of RAM that begins high are not all absent.
  usize page_of(u64 address) const { return (address - begin_) / kPageBytes; }
  u64 address_of(usize page) const { return begin_ + page * kPageBytes; }

  u64 begin_ = 0;
  std::span<u8> purposes_;   // one per page
  std::span<u16> run_free_;  // free pages of each 2 MiB run
  u64 counts_[static_cast<usize>(Purpose::kCount)] = {};
};

}  // namespace mm
