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

// Identity mapping ends there, and so does what a 2 MiB boundary is looked for in.
constexpr u64 kAddressEnd = u64{1} << 48;
// Two spans become one where the map of what lies between them is small: 257 KiB for this gap.
constexpr u64 kSmallGap = kGiB;

// Joins a span and its successor.
void join(RamExtent& extent, usize at) {
  auto& spans = extent.spans;
  spans[at].end = std::max(spans[at].end, spans[at + 1].end);
  for (usize i = at + 1; i + 1 < spans.size(); i++) spans[i] = spans[i + 1];
  spans.truncate(spans.size() - 1);
}

// Adds a span in its place. If there are too many then, the two that are nearest become one.
void add_span(RamExtent& extent, RamSpan span) {
  auto& spans = extent.spans;
  if (span.begin >= span.end) return;
  ASSERT(spans.push_back(span));
  for (usize i = spans.size() - 1; i > 0 && spans[i].begin < spans[i - 1].begin; i--)
    std::swap(spans[i], spans[i - 1]);
  usize nearest = 0;
  u64 least = ~u64{0};
  for (usize i = 0; i + 1 < spans.size();) {
    u64 gap = spans[i + 1].begin > spans[i].end ? spans[i + 1].begin - spans[i].end : 0;
    if (gap <= kSmallGap) {
      join(extent, i);
      continue;
    }
    if (gap < least) nearest = i, least = gap;
    i++;
  }
  if (spans.size() > kMostSpans) join(extent, nearest);
}

usize pages_of_span(const RamSpan& span) {
  return base::round_up((span.end - span.begin) / kPageBytes, kPagesPerRun);
}

// Finds RAM below 4 GiB. The firmware keeps a part at its top and lists it as reserved right after
// the last usable range. Such neighbours are RAM, too; a reserved range further up is a device.
RamSpan low_ram(std::span<const MemoryRange> ranges) {
  RamSpan low{.begin = kFourGiB, .end = 0};
  for (const MemoryRange& r : ranges) {
    if (r.kind != MemoryKind::kUsable || r.base >= kFourGiB) continue;
    low.begin = std::min(low.begin, base::round_down(r.base, kLargePageBytes));
    low.end = std::max(low.end, base::round_down(std::min(end_of(r), kAddressEnd), kPageBytes));
  }
  for (bool grew = true; grew;) {
    grew = false;
    for (const MemoryRange& r : ranges) {
      u64 end = base::round_down(end_of(r), kPageBytes);
      bool joins =
          base::round_down(r.base, kPageBytes) <= low.end && end > low.end && r.base >= low.begin;
      if (!joins || end > kFourGiB) continue;
      low.end = end;
      grew = true;
    }
  }
  return low;
}

}  // namespace

bool RamExtent::contains(u64 address) const {
  for (const RamSpan& span : spans)
    if (address >= span.begin && address < span.end) return true;
  return false;
}

RamExtent ram_extent(std::span<const MemoryRange> ranges) {
  RamExtent extent;
  RamSpan low = low_ram(ranges);
  extent.low_end = low.end;
  add_span(extent, low);
  for (const MemoryRange& r : ranges)
    if (r.kind == MemoryKind::kUsable && r.base >= kFourGiB)
      add_span(extent, {base::round_down(r.base, kLargePageBytes),
                        base::round_down(std::min(end_of(r), kAddressEnd), kPageBytes)});
  return extent;
}

usize PageMap::storage_bytes(const RamExtent& extent) {
  usize pages = 0;
  for (const RamSpan& span : extent.spans) pages += pages_of_span(span);
  return pages + pages / kPagesPerRun * sizeof(u16);
}

void PageMap::init(std::span<Byte> storage, const RamExtent& extent) {
  usize bytes = storage_bytes(extent), pages = 0;
  ASSERT(storage.size() >= bytes);
  segments_.clear();
  for (const RamSpan& span : extent.spans) {
    ASSERT(span.begin % kLargePageBytes == 0);
    ASSERT(segments_.push_back({span.begin, pages, pages_of_span(span)}));
    pages += pages_of_span(span);
  }
  // sets every page to kAbsent, and no page free
  std::memset(storage.data(), 0, bytes);
  purposes_ = {storage.data(), pages};
  run_free_ = {reinterpret_cast<u16*>(storage.data() + pages), pages / kPagesPerRun};
  for (u64& count : counts_) count = 0;
  counts_[static_cast<usize>(Purpose::kAbsent)] = pages;
}

const PageMap::Segment* PageMap::segment_of(u64 address) const {
  for (const Segment& segment : segments_)
    if (address >= segment.begin && address < segment.end()) return &segment;
  return nullptr;
}

template <class Fn>
void PageMap::each_part(u64 first_frame, u64 end_frame, Fn&& fn) const {
  for (const Segment& segment : segments_) {
    u64 own = segment.begin / kPageBytes;
    u64 first = std::max(first_frame, own), end = std::min(end_frame, own + segment.pages);
    if (first < end) fn(segment.first + (first - own), segment.first + (end - own));
  }
}

void PageMap::take_ranges(std::span<const MemoryRange> ranges, const RamExtent& extent) {
  each_part(0, extent.low_end / kPageBytes,
            [&](usize first, usize end) { set(first, end - first, Purpose::kFirmware); });
  for (const MemoryRange& r : ranges) {
    if (r.kind != MemoryKind::kUsable) continue;
    // in frames, because a range may lie at the end of the address space
    each_part(r.base / kPageBytes + (r.base % kPageBytes != 0), end_of(r) / kPageBytes,
              [&](usize first, usize end) { set(first, end - first, Purpose::kFree); });
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
  auto absent = [&](usize page) { return purposes_[page] == static_cast<u8>(Purpose::kAbsent); };
  each_part(base / kPageBytes, (end - 1) / kPageBytes + 1, [&](usize first, usize last) {
    while (first < last) {
      usize stop = first;
      while (stop < last && absent(stop) == absent(first)) stop++;
      if (!absent(first)) set(first, stop - first, purpose);
      first = stop;
    }
  });
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

// Returns the highest place inside the 2 MiB run at `address`, whose first page has the number
// `first`. It steps by the alignment; a used page ends a candidate.
Result<u64> PageMap::fit_in_run(u64 address, usize first, const Search& search) const {
  usize step = std::max<usize>(search.align / kPageBytes, 1);  // at most a run, where this begins
  u64 room = search.below <= address ? 0 : (search.below - address) / kPageBytes;
  usize end = std::min<u64>(kPagesPerRun, room);
  if (end < search.pages) return fail(Errc::kOutOfMemory, "out of pages");
  for (usize page = (end - search.pages) / step * step;; page -= step) {
    if (free_pages_from(first + page, search.pages)) return address + page * kPageBytes;
    if (page < step) break;
  }
  return fail(Errc::kOutOfMemory, "out of pages");
}

// Searches partly used runs first, so that whole 2 MiB runs stay whole.
Result<u64> PageMap::allocate_small(const Search& search) const {
  for (bool whole : {false, true}) {
    for (usize s = segments_.size(); s-- > 0;) {
      const Segment& segment = segments_[s];
      for (usize page = segment.pages; page > 0;) {
        page -= kPagesPerRun;
        u16 free = run_free_[(segment.first + page) / kPagesPerRun];
        if (free < search.pages || (free == kPagesPerRun) != whole) continue;
        auto found = fit_in_run(segment.begin + page * kPageBytes, segment.first + page, search);
        if (found.has_value()) return found;
      }
    }
  }
  return fail(Errc::kOutOfMemory, "out of pages");
}

// Walks down over the segment's runs and counts how many whole ones begin at each.
Result<u64> PageMap::allocate_large(const Segment& segment, const Search& search) const {
  usize whole = search.pages / kPagesPerRun, tail = search.pages % kPagesPerRun, streak = 0;
  for (usize page = segment.pages; page > 0;) {
    page -= kPagesPerRun;
    streak = run_free_[(segment.first + page) / kPagesPerRun] == kPagesPerRun ? streak + 1 : 0;
    u64 address = segment.begin + page * kPageBytes;
    if (streak < whole || (address & (search.align - 1)) != 0) continue;
    if (address + search.pages * kPageBytes > search.below) continue;
    usize behind = page + whole * kPagesPerRun;
    if (tail == 0) return address;
    if (behind < segment.pages && free_pages_from(segment.first + behind, tail)) return address;
  }
  return fail(Errc::kOutOfMemory, "out of pages");
}

Result<u64> PageMap::allocate(const Search& search, Purpose purpose) {
  ASSERT(search.pages > 0 && base::is_power_of_two(search.align));
  if (search.pages > pages_of(Purpose::kFree)) return fail(Errc::kOutOfMemory, "out of pages");
  bool small = search.pages < kPagesPerRun && search.align <= kLargePageBytes;
  Result<u64> found = fail(Errc::kOutOfMemory, "out of pages");
  if (small) found = allocate_small(search);
  for (usize s = segments_.size(); !small && !found.has_value() && s-- > 0;)
    found = allocate_large(segments_[s], search);
  u64 address = TRY(std::move(found));
  each_part(address / kPageBytes, address / kPageBytes + search.pages,
            [&](usize first, usize end) { set(first, end - first, purpose); });
  return address;
}

void PageMap::free(u64 base, usize pages) {
  const Segment* segment = segment_of(base);
  ASSERT(base % kPageBytes == 0 && segment != nullptr);
  ASSERT(pages <= (segment->end() - base) / kPageBytes);
  usize first = segment->first + (base - segment->begin) / kPageBytes;
  for (usize p = first; p < first + pages; p++)
    ASSERT(purposes_[p] >= static_cast<u8>(Purpose::kKernel));
  set(first, pages, Purpose::kFree);
}

Purpose PageMap::at(u64 address) const {
  const Segment* segment = segment_of(address);
  if (segment == nullptr) return Purpose::kAbsent;
  return static_cast<Purpose>(purposes_[segment->first + (address - segment->begin) / kPageBytes]);
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
