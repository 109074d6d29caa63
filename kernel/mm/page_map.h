// SPDX-License-Identifier: GPL-2.0-or-later
// The physical allocator: one byte per page tells its purpose, and one counter per 2 MiB run tells
// how many of its pages are free. Pure: it never touches the pages themselves.
#pragma once

#include <span>

#include "boot/boot_info.h"
#include "kernel/mm/memory.h"

namespace mm {

constexpr usize kPagesPerRun = kLargePageBytes / kPageBytes;

// A part of the address space with RAM in it. `begin` is a multiple of 2 MiB.
struct RamSpan {
  u64 begin = 0, end = 0;  // bytes
};
constexpr usize kMostSpans = 8;

// Where RAM lies, as a loader's map tells it. The first span may hold RAM below 4 GiB, including
// the firmware's part at its top: everything in it up to `low_end` is RAM. Above, RAM is what the
// map lists. What lies between two spans costs no byte of the page map.
struct RamExtent {
  u64 low_end = 0;                              // bytes; 0 = no RAM begins below 4 GiB
  StaticVector<RamSpan, kMostSpans + 1> spans;  // ascending, at most kMostSpans of them
  bool contains(u64 address) const;
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
  // A run of pages that follow each other, in memory as in the map.
  struct Segment {
    u64 begin = 0;    // address, a multiple of 2 MiB
    usize first = 0;  // its first page's number
    usize pages = 0;  // a multiple of kPagesPerRun
    u64 end() const { return begin + pages * kPageBytes; }
  };
  std::span<const Segment> segments() const { return segments_.view(); }
  // Counts everything again from the map. Returns kCorrupt if a counter is wrong.
  Result<void> verify() const;

 private:
  Result<u64> allocate_small(const Search& search) const;
  Result<u64> allocate_large(const Segment& segment, const Search& search) const;
  Result<u64> fit_in_run(u64 address, usize first, const Search& search) const;
  bool free_pages_from(usize page, usize count) const;
  void set(usize first_page, usize count, Purpose purpose);
  // Returns the segment that contains the address, or null.
  const Segment* segment_of(u64 address) const;
  // Calls fn(first, end) with the numbers of those pages of [first_frame, end_frame) that the map
  // has. A frame is an address divided by kPageBytes.
  template <class Fn>
  void each_part(u64 first_frame, u64 end_frame, Fn&& fn) const;

  StaticVector<Segment, kMostSpans> segments_;  // ascending
  std::span<u8> purposes_;                      // one per page
  std::span<u16> run_free_;                     // free pages of each 2 MiB run
  u64 counts_[static_cast<usize>(Purpose::kCount)] = {};
};

}  // namespace mm
