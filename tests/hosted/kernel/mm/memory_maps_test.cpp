// SPDX-License-Identifier: GPL-2.0-or-later
// Random memory maps of firmware: unsorted, overlapping, with holes and ranges at both ends of the
// address space. MARROW_MEMORY_MAPS=100000 for many; a map's seed is its number.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "kernel/base/test.h"
#include "kernel/mm/page_map.h"

namespace {

using mm::PageMap;
using mm::Purpose;

class Dice {
 public:
  explicit Dice(u64 seed) : state_(seed * 0xd1342543de82ef95 + 1) {}
  u64 below(u64 n) { return next() % n; }

 private:
  u64 next() {
    u64 z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  u64 state_;
};

std::vector<MemoryRange> random_map(u64 seed) {
  Dice dice(seed);
  bool high = dice.below(10) == 0;  // such maps are larger, and so slower
  u64 around[] = {0,
                  kMiB,
                  2 * kMiB,
                  high ? 4 * kGiB - kMiB : 3 * kMiB,
                  high ? 4 * kGiB : 0,
                  ~u64{0} - 2 * kMiB};
  std::vector<MemoryRange> map;
  for (u64 count = 1 + dice.below(24); count > 0; count--) {
    u64 where = around[dice.below(std::size(around))];
    u64 base = where + dice.below(2 * kMiB), size = dice.below(2 * kMiB);
    if (dice.below(2) == 0) base &= ~u64{0xfff}, size &= ~u64{0xfff};
    size = std::min(size, ~base);  // the loader's parsers refuse ranges that wrap
    auto kind = dice.below(2) == 0 ? MemoryKind::kUsable : static_cast<MemoryKind>(dice.below(5));
    // RAM at the end of 64 bits would want a map of the whole address space.
    if (where > 8 * kGiB && kind == MemoryKind::kUsable) kind = MemoryKind::kReserved;
    if (size > 0) map.push_back({base, size, kind});
  }
  return map;
}

struct Page {
  bool safe = true;  // nothing that is not usable touches it
  bool whole = false;
};

Page judge(std::span<const MemoryRange> map, u64 page) {
  Page result;
  for (const MemoryRange& r : map) {
    u64 end = r.base + r.size;
    if (r.kind == MemoryKind::kUsable)
      result.whole = result.whole || (r.base <= page && page + mm::kPageBytes <= end);
    else if (r.base < page + mm::kPageBytes && page < end)
      result.safe = false;
  }
  return result;
}

// Looks at the pages around each end of each range: everywhere else nothing changes.
bool holds(const std::vector<MemoryRange>& ranges) {
  mm::RamExtent extent = mm::ram_extent(ranges);
  std::vector<u64> storage(PageMap::storage_bytes(extent) / 8 + 1);
  PageMap map;
  map.init({reinterpret_cast<Byte*>(storage.data()), storage.size() * 8}, extent);
  map.take_ranges(ranges, extent);
  if (!map.verify().has_value()) return false;
  for (const MemoryRange& r : ranges) {
    for (u64 at : {r.base - mm::kPageBytes, r.base, r.base + r.size - 1, r.base + r.size}) {
      u64 address = at & ~(mm::kPageBytes - 1);
      if (address < extent.begin || address >= extent.end() || address > ~mm::kPageBytes) continue;
      Page page = judge(ranges, address);
      bool free = map.at(address) == Purpose::kFree;
      if (free != (page.safe && page.whole && address != 0)) return false;
    }
  }
  return true;
}

}  // namespace

TEST(mm_memory_maps, a_page_is_free_only_where_all_of_it_is_usable) {
  const char* wanted = std::getenv("MARROW_MEMORY_MAPS");
  u64 maps = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 2'000;
  u64 wrong = 0, first = 0;
  for (u64 seed = 0; seed < maps; seed++) {
    if (holds(random_map(seed))) continue;
    if (wrong++ == 0) first = seed;
  }
  EXPECT_EQ(first, 0u);  // the first map that does not hold
  EXPECT_EQ(wrong, 0u);
}

TEST(mm_memory_maps, a_range_at_the_end_of_the_address_space_frees_nothing) {
  const std::vector<MemoryRange> ranges = {{0, kMiB, MemoryKind::kUsable},  // then nothing is known
                                           {2 * kMiB, kMiB, MemoryKind::kUsable},
                                           {~u64{0} - 200, 100, MemoryKind::kUsable}};
  mm::RamExtent extent = mm::ram_extent(std::span(ranges).first(2));
  std::vector<u64> storage(PageMap::storage_bytes(extent) / 8 + 1);
  PageMap map;
  map.init({reinterpret_cast<Byte*>(storage.data()), storage.size() * 8}, extent);
  map.take_ranges(ranges, extent);
  EXPECT_EQ(map.pages_of(Purpose::kFree) * mm::kPageBytes, 2 * kMiB - mm::kPageBytes);
}
