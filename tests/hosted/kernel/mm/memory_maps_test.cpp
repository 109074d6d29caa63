// SPDX-License-Identifier: GPL-2.0-or-later
// Memory maps of firmware. Random ones are unsorted, overlapping, with holes and ranges at both
// ends of the address space; MARROW_MEMORY_MAPS=100000 for many; a map's seed is its number. Those
// of real machines come from tests/machines and take the loader's way: a tag of Multiboot2.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "boot/multiboot2.h"
#include "kernel/base/test.h"
#include "kernel/mm/page_map.h"
#include "tests/hosted/test_machines.h"

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

// Looks at the pages around each end of each range: everywhere else nothing changes. `free_pages`
// becomes the number of all that are free.
bool holds(const std::vector<MemoryRange>& ranges, u64& free_pages) {
  mm::RamExtent extent = mm::ram_extent(ranges);
  std::vector<u64> storage(PageMap::storage_bytes(extent) / 8 + 1);
  PageMap map;
  map.init({reinterpret_cast<Byte*>(storage.data()), storage.size() * 8}, extent);
  map.take_ranges(ranges, extent);
  if (!map.verify().has_value()) return false;
  free_pages = map.pages_of(Purpose::kFree);
  for (const MemoryRange& r : ranges) {
    for (u64 at : {r.base - mm::kPageBytes, r.base, r.base + r.size - 1, r.base + r.size}) {
      u64 address = at & ~(mm::kPageBytes - 1);
      if (!extent.contains(address) || address > ~mm::kPageBytes) continue;
      Page page = judge(ranges, address);
      bool free = map.at(address) == Purpose::kFree;
      if (free != (page.safe && page.whole && address != 0)) return false;
    }
  }
  return true;
}

// Writes a machine's map as the tag of a Multiboot2 loader.
std::vector<u64> multiboot2_of(const MachineFacts& machine) {
  constexpr std::string_view kKinds[] = {"",         "usable", "reserved", "acpi-data", "acpi-nvs",
                                         "unusable", "",       "",         "",          "type-9"};
  std::vector<u64> words = {0, 6, u64{24}};  // total size; type 6 and size; size of an entry
  for (const auto& line : machine.lines) {
    usize dash = line.front().find('-');
    if (dash == std::string::npos || line.size() != 2) continue;
    u64 first = number_of(line[0], 16), last = number_of(line[0].substr(dash + 1), 16);
    auto kind = std::ranges::find(kKinds, line[1]);
    ASSERT(kind != std::end(kKinds));
    words.insert(words.end(), {first, last - first + 1, static_cast<u64>(kind - kKinds)});
  }
  words[1] |= (words.size() - 1) * 8 << 32;
  words.push_back(u64{8} << 32);  // the last tag
  words[0] = words.size() * 8;
  return words;
}

// Counts the whole usable pages of a map whose ranges do not overlap, without page 0.
u64 whole_pages(std::span<const MemoryRange> map) {
  u64 pages = 0;
  for (const MemoryRange& r : map) {
    if (r.kind != MemoryKind::kUsable) continue;
    pages += (r.base + r.size) / mm::kPageBytes - (r.base + mm::kPageBytes - 1) / mm::kPageBytes;
    if (r.base == 0) pages--;
  }
  return pages;
}

}  // namespace

TEST(mm_memory_maps, a_page_is_free_only_where_all_of_it_is_usable) {
  const char* wanted = std::getenv("MARROW_MEMORY_MAPS");
  u64 maps = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 2'000;
  u64 wrong = 0, first = 0;
  for (u64 seed = 0; seed < maps; seed++) {
    u64 free_pages = 0;
    if (holds(random_map(seed), free_pages)) continue;
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

TEST(mm_memory_maps, maps_of_real_machines) {
  constexpr u64 kLargestStorage = 512 * kMiB;  // of the test: enough for 1.9 TiB
  u64 too_large = 0, machines = 0;
  for (const MachineFacts& machine : read_machines("memory_maps.txt")) {
    std::vector<u64> bytes = multiboot2_of(machine);
    BootInfo info;
    bool parsed = boot::parse_multiboot2({reinterpret_cast<const Byte*>(bytes.data()),  //
                                          bytes.size() * 8},
                                         info)
                      .has_value();
    std::vector<MemoryRange> map(info.memory.begin(), info.memory.end());
    u64 facts = machine.lines.size() - (machine.has("pages") ? 1 : 0);
    bool good = parsed && map.size() == facts && facts > 0;
    for (usize i = 1; good && i < map.size(); i++)
      good = map[i - 1].base + map[i - 1].size <= map[i].base;
    u64 pages = whole_pages(map), free_pages = 0;
    good = good && machine.number("pages", 10, pages + 1) == pages + 1;
    if (mm::PageMap::storage_bytes(mm::ram_extent(map)) > kLargestStorage)
      too_large++;
    else
      good = good && holds(map, free_pages) && free_pages == pages;
    EXPECT_EQ(std::string_view(good ? "" : machine.name.c_str()), "");
    machines++;
  }
  EXPECT_EQ(machines, 25u);
  EXPECT_EQ(too_large, 1u);  // 12 TiB
}
