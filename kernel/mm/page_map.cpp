// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the physical allocator.
#include "kernel/mm/page_map.h"

#include "kernel/base/bytes.h"

namespace mm {
namespace {

constexpr u64 kFourGiB = 4 * kGiB;

u64 end_of(const MemoryRange& range) {
  u64 end = 0;
  return __builtin_add_overflow(range.base, range.size, &end) ? ~u64{0} : end;
}

// Calls fn(value, count) over the bytes, eight at a time where they are equal. Maps are mostly long
// runs, and boot walks all of them.
template <class Fn>
void for_each_alike(std::span<const u8> bytes, Fn&& fn) {
  constexpr u64 kOnes = 0x0101'0101'0101'0101;
  for (usize i = 0; i < bytes.size();) {
    if (i + 8 <= bytes.size() && base::load<u64>(&bytes[i]) == kOnes * bytes[i]) {
      fn(bytes[i], 8);
      i += 8;
    } else {
      fn(bytes[i], 1);
      i++;
    }
  }
}

}  // namespace

// Finds the end of RAM. The firmware keeps a part at the top of low RAM and lists it as reserved
// right after the last usable range. Such neighbours are RAM, too; a reserved range further up is a
// device.
RamExtent ram_extent(std::span<const MemoryRange> ranges) {
  RamExtent extent{.begin = ~u64{0}};
  for (const MemoryRange& r : ranges) {
    if (r.kind != MemoryKind::kUsable) continue;
    extent.begin = std::min(extent.begin, base::round_down(r.base, kLargePageBytes));
    u64& end = r.base < kFourGiB ? extent.low_end : extent.high_end;
    end = std::max(end, base::round_down(end_of(r), kPageBytes));
  }
  for (bool grew = true; grew;) {
    grew = false;
    for (const MemoryRange& r : ranges) {
      u64 end = base::round_down(end_of(r), kPageBytes);
      bool joins = base::round_down(r.base, kPageBytes) <= extent.low_end && end > extent.low_end &&
                   r.base >= extent.begin;
      if (!joins || end > kFourGiB) continue;
      extent.low_end = end;
      grew = true;
    }
  }
  extent.begin = std::min(extent.begin, extent.end());
  return extent;
}

usize PageMap::storage_bytes(const RamExtent& extent) {
  usize pages = base::round_up((extent.end() - extent.begin) / kPageBytes, kPagesPerRun);
  return pages + pages / kPagesPerRun * sizeof(u16);
}

void PageMap::init(std::span<Byte> storage, const RamExtent& extent) {
  usize bytes = storage_bytes(extent);
  usize pages = base::round_up((extent.end() - extent.begin) / kPageBytes, kPagesPerRun);
  ASSERT(storage.size() >= bytes && extent.begin % kLargePageBytes == 0);
  begin_ = extent.begin;
  // sets every page to kAbsent, and no page free
  std::memset(storage.data(), 0, bytes);
  purposes_ = {storage.data(), pages};
  run_free_ = {reinterpret_cast<u16*>(storage.data() + pages), pages / kPagesPerRun};
  for (u64& count : counts_) count = 0;
  counts_[static_cast<usize>(Purpose::kAbsent)] = pages;
}

void PageMap::take_ranges(std::span<const MemoryRange> ranges, const RamExtent& extent) {
  auto last_page = [&](u64 end) {
    return end <= begin_ ? 0 : std::min<u64>(page_of(end), purposes_.size());
  };
  set(0, last_page(extent.low_end), Purpose::kFirmware);
  for (const MemoryRange& r : ranges) {
    if (r.kind != MemoryKind::kUsable) continue;
    // counted before it is rounded: a range may lie at the end of the address space
    u64 first = r.base <= begin_ ? 0 : page_of(r.base) + (r.base % kPageBytes != 0);
    u64 last = last_page(end_of(r));
    if (first < last) set(first, last - first, Purpose::kFree);
  }
  // Ranges may overlap. Where they do, the unusable one counts.
  for (const MemoryRange& r : ranges) {
    if (r.kind == MemoryKind::kUsable) continue;
    mark(r.base, r.size, r.kind == MemoryKind::kBad ? Purpose::kBad : Purpose::kFirmware);
  }
  mark(0, kPageBytes, Purpose::kFirmware);  // page 0 stays unmapped, to catch null pointers
}

void PageMap::mark(u64 base, u64 bytes, Purpose purpose) {
  if (bytes == 0) return;
  u64 end = 0;
  if (__builtin_add_overflow(base, bytes, &end)) end = ~u64{0};
  if (end <= begin_) return;
  usize first = page_of(std::max(base, begin_));
  usize last = std::min<u64>(page_of(end - 1) + 1, purposes_.size());
  auto absent = [&](usize page) { return purposes_[page] == static_cast<u8>(Purpose::kAbsent); };
  while (first < last) {
    usize end = first;
    while (end < last && absent(end) == absent(first)) end++;
    if (!absent(first)) set(first, end - first, purpose);
    first = end;
  }
}

void PageMap::set(usize first_page, usize count, Purpose purpose) {
  auto value = static_cast<u8>(purpose);
  bool now_free = purpose == Purpose::kFree;
  for (usize page = first_page; page < first_page + count;) {
    usize run = page / kPagesPerRun;
    usize end = std::min((run + 1) * kPagesPerRun, first_page + count);
    for_each_alike(purposes_.subspan(page, end - page), [&](u8 old, u32 n) {
      counts_[old] -= n;
      if (old == static_cast<u8>(Purpose::kFree))
        run_free_[run] = static_cast<u16>(run_free_[run] - n);
    });
    std::memset(&purposes_[page], value, end - page);
    if (now_free) run_free_[run] = static_cast<u16>(run_free_[run] + (end - page));
    page = end;
  }
  counts_[value] += count;
}

bool PageMap::free_pages_from(usize page, usize count) const {
  if (page + count > purposes_.size()) return false;
  for (usize p = page; p < page + count; p++)
    if (purposes_[p] != static_cast<u8>(Purpose::kFree)) return false;
  return true;
}

// Returns the highest place inside one 2 MiB run. It steps by the alignment; a used page ends a
// candidate.
Result<u64> PageMap::fit_in_run(usize run, const Search& search) const {
  usize first = run * kPagesPerRun;
  usize step = std::max<usize>(search.align / kPageBytes, 1);  // at most a run, where `begin_` is
  u64 limit = search.below <= begin_ ? 0 : page_of(search.below);
  usize end = std::min<u64>(first + kPagesPerRun, limit);
  if (end < first + search.pages) return fail(Errc::kOutOfMemory, "out of pages");
  for (usize page = (end - search.pages) / step * step; page >= first; page -= step) {
    if (free_pages_from(page, search.pages)) return address_of(page);
    if (page < first + step) break;
  }
  return fail(Errc::kOutOfMemory, "out of pages");
}

// Searches partly used runs first, so that whole 2 MiB runs stay whole.
Result<u64> PageMap::allocate_small(const Search& search) const {
  for (bool whole : {false, true}) {
    for (usize run = run_free_.size(); run-- > 0;) {
      if (run_free_[run] < search.pages || (run_free_[run] == kPagesPerRun) != whole) continue;
      auto found = fit_in_run(run, search);
      if (found.has_value()) return found;
    }
  }
  return fail(Errc::kOutOfMemory, "out of pages");
}

// Walks down over the runs and counts how many whole ones begin at each.
Result<u64> PageMap::allocate_large(const Search& search) const {
  usize whole = search.pages / kPagesPerRun, tail = search.pages % kPagesPerRun;
  usize streak = 0;
  for (usize run = run_free_.size(); run-- > 0;) {
    streak = run_free_[run] == kPagesPerRun ? streak + 1 : 0;
    u64 address = begin_ + run * kLargePageBytes;
    if (streak < whole || (address & (search.align - 1)) != 0) continue;
    u64 end = address + search.pages * kPageBytes;
    if (end > search.below) continue;
    if (tail == 0 || free_pages_from((run + whole) * kPagesPerRun, tail)) return address;
  }
  return fail(Errc::kOutOfMemory, "out of pages");
}

Result<u64> PageMap::allocate(const Search& search, Purpose purpose) {
  ASSERT(search.pages > 0 && base::is_power_of_two(search.align));
  if (search.pages > pages_of(Purpose::kFree)) return fail(Errc::kOutOfMemory, "out of pages");
  bool small = search.pages < kPagesPerRun && search.align <= kLargePageBytes;
  u64 address = TRY(small ? allocate_small(search) : allocate_large(search));
  set(page_of(address), search.pages, purpose);
  return address;
}

void PageMap::free(u64 base, usize pages) {
  ASSERT(base % kPageBytes == 0 && base >= begin_);
  usize first = page_of(base);
  ASSERT(first + pages <= purposes_.size());
  for (usize p = first; p < first + pages; p++)
    ASSERT(purposes_[p] >= static_cast<u8>(Purpose::kKernel));
  set(first, pages, Purpose::kFree);
}

Purpose PageMap::at(u64 address) const {
  if (address < begin_) return Purpose::kAbsent;
  usize page = page_of(address);
  return page < purposes_.size() ? static_cast<Purpose>(purposes_[page]) : Purpose::kAbsent;
}

Result<void> PageMap::verify() const {
  u64 counted[static_cast<usize>(Purpose::kCount)] = {};
  for (usize run = 0; run < run_free_.size(); run++) {
    u32 free = 0;
    bool known = true;
    for_each_alike(purposes_.subspan(run * kPagesPerRun, kPagesPerRun), [&](u8 purpose, u32 n) {
      known = known && purpose < static_cast<u8>(Purpose::kCount);
      if (known) counted[purpose] += n;
      if (purpose == static_cast<u8>(Purpose::kFree)) free += n;
    });
    if (!known) return fail(Errc::kCorrupt, "a page has no known purpose");
    if (free != run_free_[run]) return fail(Errc::kCorrupt, "a run's count of free pages is off");
  }
  for (usize i = 0; i < std::size(counted); i++)
    if (counted[i] != counts_[i]) return fail(Errc::kCorrupt, "a purpose's count of pages is off");
  return {};
}

}  // namespace mm
