// SPDX-License-Identifier: GPL-2.0-or-later
// The physical allocator: one byte a page says what the page is for, one count a 2 MiB run says
// how many of its pages are free. Pure: it never touches the pages themselves.
#pragma once

#include <span>

#include "boot/boot_info.h"
#include "kernel/mm/memory.h"

namespace mm {

constexpr usize kPagesPerRun = kLargePageBytes / kPageBytes;

// Where RAM begins and ends, as far as a loader's map tells: below 4 GiB with the firmware's own
// part at its top, and above.
struct RamExtent {
  u64 begin = 0;     // bytes, a multiple of 2 MiB
  u64 low_end = 0;   // RAM is [begin, low_end)
  u64 high_end = 0;  // and what the map lists in [4 GiB, high_end); 0 = none
  u64 end() const { return high_end != 0 ? high_end : low_end; }
};
RamExtent ram_extent(std::span<const MemoryRange> ranges);

class PageMap {
 public:
  static usize storage_bytes(const RamExtent& extent);
  // `storage` is 8-byte aligned and as large as storage_bytes(extent). Every page becomes kAbsent.
  void init(std::span<Byte> storage, const RamExtent& extent);
  // Marks pages as the loader's map says: usable pages free, the rest of RAM kFirmware.
  void take_ranges(std::span<const MemoryRange> ranges, const RamExtent& extent);
  // Every page that [base, base + bytes) touches, as far as it is RAM.
  void mark(u64 base, u64 bytes, Purpose purpose);

  struct Search {
    usize pages;
    u64 align;  // bytes, a power of two
    u64 below;  // the run ends at or before this
  };
  // The highest run that fits, its address; kOutOfMemory. Runs of 2 MiB and more start on a 2 MiB
  // boundary; smaller ones go where a 2 MiB run is broken already.
  Result<u64> allocate(const Search& search, Purpose purpose);
  // Every page must be allocated: a double free stops the machine.
  void free(u64 base, usize pages);

  Purpose at(u64 address) const;
  u64 pages_of(Purpose purpose) const { return counts_[static_cast<usize>(purpose)]; }
  u64 begin() const { return begin_; }
  u64 end() const { return begin_ + purposes_.size() * kPageBytes; }
  // Counts again from the map; kCorrupt when a running figure is off.
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
  std::span<u8> purposes_;   // a page each
  std::span<u16> run_free_;  // free pages of each 2 MiB run
  u64 counts_[static_cast<usize>(Purpose::kCount)] = {};
};

}  // namespace mm
