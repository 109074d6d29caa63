// SPDX-License-Identifier: GPL-2.0-or-later
// The physical allocator over maps as loaders give them: what counts as RAM, where runs land,
// and random work against a plain model.
#include <vector>

#include "kernel/base/test.h"
#include "kernel/mm/page_map.h"

namespace {

using mm::PageMap;
using mm::Purpose;

struct Machine {
  std::vector<u64> storage;
  PageMap map;
  mm::RamExtent extent;

  explicit Machine(std::span<const MemoryRange> ranges) {
    extent = mm::ram_extent(ranges);
    usize bytes = PageMap::storage_bytes(extent);
    storage.resize(bytes / 8 + 1);
    map.init({reinterpret_cast<Byte*>(storage.data()), storage.size() * 8}, extent);
    map.take_ranges(ranges, extent);
  }
  u64 ram() const {
    u64 pages = 0;
    for (u32 i = 1; i < static_cast<u32>(Purpose::kCount); i++)
      pages += map.pages_of(static_cast<Purpose>(i));
    return pages * mm::kPageBytes;
  }
};

// The memory maps that QEMU's firmware reports for 256 MiB, and for a q35 with 8 GiB.
constexpr MemoryRange kSmall[] = {
    {0x0, 0x9fc00, MemoryKind::kUsable},         {0x9fc00, 0x400, MemoryKind::kReserved},
    {0xf0000, 0x10000, MemoryKind::kReserved},   {0x100000, 0xfedf000, MemoryKind::kUsable},
    {0xffdf000, 0x21000, MemoryKind::kReserved}, {0xfffc0000, 0x40000, MemoryKind::kReserved},
};
constexpr MemoryRange kLarge[] = {
    {0x0, 0x9fc00, MemoryKind::kUsable},
    {0x9fc00, 0x400, MemoryKind::kReserved},
    {0xf0000, 0x10000, MemoryKind::kReserved},
    {0x100000, 0x7fedf000, MemoryKind::kUsable},
    {0x7ffdf000, 0x21000, MemoryKind::kReserved},
    {0xb0000000, 0x10000000, MemoryKind::kReserved},
    {0xfed1c000, 0x4000, MemoryKind::kReserved},
    {0x100000000, 0x180000000, MemoryKind::kUsable},
    {0xfd00000000, 0x300000000, MemoryKind::kReserved},
};

// QEMU's ARM64 machine: RAM begins at 1 GiB and runs across the fourth.
constexpr MemoryRange kHigh[] = {
    {0x40000000, 0x200000000, MemoryKind::kUsable},
    {0x48000000, 0x100000, MemoryKind::kReserved},
};
// A server's: all of it at 8 TiB.
constexpr MemoryRange kFar[] = {{0x800'0000'0000, 0x10000000, MemoryKind::kUsable}};

struct Random {
  u64 state = 0x2545f4914f6cdd1d;
  u64 below(u64 n) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % n;
  }
};

}  // namespace

TEST(mm_page_map, purposes_have_names) {
  EXPECT(mm::purpose_from_name("KV cache", Purpose::kOther) == Purpose::kKvCache);
  EXPECT(mm::purpose_from_name("weights", Purpose::kOther) == Purpose::kWeights);
  EXPECT(mm::purpose_from_name("workspace", Purpose::kEngine) == Purpose::kEngine);
  EXPECT(mm::purpose_from_name("free", Purpose::kOther) == Purpose::kOther);
}

TEST(mm_page_map, ram_is_counted_to_the_last_byte) {
  Machine small(kSmall);
  EXPECT_EQ(small.ram(), 256 * kMiB);
  Machine large(kLarge);
  EXPECT_EQ(large.ram(), 8 * kGiB);
  EXPECT(large.map.at(0xb0000000) == Purpose::kAbsent);
  EXPECT(large.map.at(0x9f000) == Purpose::kFirmware);
  EXPECT(large.map.at(0) == Purpose::kFirmware);
  EXPECT(large.map.at(0x1000) == Purpose::kFree);
  EXPECT(large.map.verify().has_value());
}

// Addresses below RAM are no RAM, and cost no byte of the map.
TEST(mm_page_map, ram_may_begin_anywhere) {
  Machine high(kHigh);
  EXPECT_EQ(high.ram(), 8 * kGiB);
  EXPECT(high.map.at(0) == Purpose::kAbsent);
  EXPECT(high.map.at(0x3ffff000) == Purpose::kAbsent);
  EXPECT(high.map.at(0x40000000) == Purpose::kFree);
  EXPECT(high.map.at(0x480ff000) == Purpose::kFirmware);
  high.map.mark(0, 64 * kKiB, Purpose::kBoot);
  EXPECT_EQ(high.map.pages_of(Purpose::kBoot), 0u);
  Machine far(kFar);
  EXPECT_EQ(far.ram(), 256 * kMiB);
  EXPECT(PageMap::storage_bytes(far.extent) < kMiB);
  auto run = far.map.allocate({3, mm::kPageBytes, ~u64{0}}, Purpose::kHeap);
  REQUIRE(run.has_value());
  EXPECT_EQ(*run, 0x800'0fff'd000u);
  EXPECT(!far.map.allocate({3, mm::kPageBytes, 4 * kGiB}, Purpose::kHeap).has_value());
  far.map.free(*run, 3);
  EXPECT(far.map.verify().has_value() && high.map.verify().has_value());
}

// Servers have banks at 2 GiB, at half a TiB and at 8 TiB. The map has bytes for the banks alone,
// and no run reaches from one into the next.
TEST(mm_page_map, what_lies_between_far_banks_costs_nothing) {
  constexpr u64 kBanks[] = {0x8000'0000, 0x80'0000'0000, 0x800'0000'0000};
  constexpr u64 kBank = 64 * kMiB;
  StaticVector<MemoryRange, 3> ranges;
  for (u64 base : kBanks) ASSERT(ranges.push_back({base, kBank, MemoryKind::kUsable}));
  Machine m(ranges.view());
  EXPECT_EQ(m.ram(), 3 * kBank);
  EXPECT(PageMap::storage_bytes(m.extent) < 64 * kKiB);
  for (u64 base : kBanks) {
    EXPECT(m.map.at(base) == Purpose::kFree && m.map.at(base + kBank - 1) == Purpose::kFree);
    EXPECT(m.map.at(base + kBank) == Purpose::kAbsent && m.map.at(base - 1) == Purpose::kAbsent);
  }
  constexpr usize kPages = kBank / mm::kPageBytes;
  EXPECT(!m.map.allocate({kPages + 1, mm::kPageBytes, ~u64{0}}, Purpose::kModel).has_value());
  for (u64 base : {kBanks[2], kBanks[1], kBanks[0]}) {
    auto run = m.map.allocate({kPages, mm::kPageBytes, ~u64{0}}, Purpose::kModel);
    REQUIRE(run.has_value());
    EXPECT_EQ(*run, base);
  }
  EXPECT(!m.map.allocate({1, mm::kPageBytes, ~u64{0}}, Purpose::kHeap).has_value());
  m.map.free(kBanks[0], kPages);
  auto low = m.map.allocate({1, mm::kPageBytes, 4 * kGiB}, Purpose::kHeap);
  REQUIRE(low.has_value());
  EXPECT_EQ(*low, kBanks[0] + kBank - mm::kPageBytes);
  EXPECT(m.map.verify().has_value());
}

// More banks than rows: the nearest ones share a row, and none is lost.
TEST(mm_page_map, many_far_banks_share_rows) {
  StaticVector<MemoryRange, 32> ranges;
  u64 at = 4 * kGiB;
  for (u32 i = 0; !ranges.full(); i++) {
    ASSERT(ranges.push_back({at, 4 * kMiB, MemoryKind::kUsable}));
    at += (2 + i * 7 % 5) * kGiB;
  }
  for (usize i = 0; i < ranges.size(); i++) std::swap(ranges[i], ranges[i * 13 % ranges.size()]);
  Machine m(ranges.view());
  EXPECT_EQ(m.extent.spans.size(), mm::kMostSpans);
  EXPECT_EQ(m.ram(), ranges.size() * 4 * kMiB);
  for (const MemoryRange& r : ranges) EXPECT(m.map.at(r.base) == Purpose::kFree);
  EXPECT(m.map.verify().has_value());
}

TEST(mm_page_map, overlapping_wrapping_and_bad_ranges) {
  constexpr MemoryRange kRanges[] = {
      {0x0, 0x1000000, MemoryKind::kUsable},
      {0x800000, 0x1001, MemoryKind::kReserved},
      {0x900000, 0x1000, MemoryKind::kBad},
      {0xfff000, ~u64{0}, MemoryKind::kReserved},
  };
  Machine m(kRanges);
  EXPECT(m.map.at(0x800000) == Purpose::kFirmware);
  EXPECT(m.map.at(0x801000) == Purpose::kFirmware);
  EXPECT(m.map.at(0x802000) == Purpose::kFree);
  EXPECT(m.map.at(0x900000) == Purpose::kBad);
  EXPECT_EQ(m.ram(), 16 * kMiB);
  EXPECT(m.map.verify().has_value());
}

TEST(mm_page_map, marks_cover_every_touched_page) {
  Machine m(kSmall);
  m.map.mark(0x200fff, 2, Purpose::kModel);
  EXPECT(m.map.at(0x200000) == Purpose::kModel);
  EXPECT(m.map.at(0x201000) == Purpose::kModel);
  EXPECT(m.map.at(0x202000) == Purpose::kFree);
  EXPECT_EQ(m.map.pages_of(Purpose::kModel), 2u);
}

// A framebuffer in the hole below 4 GiB is no RAM, however far RAM reaches above.
TEST(mm_page_map, marks_leave_out_what_is_no_ram) {
  Machine m(kLarge);
  m.map.mark(0xb0000000, 0x160000, Purpose::kFirmware);
  EXPECT(m.map.at(0xb0000000) == Purpose::kAbsent);
  EXPECT_EQ(m.ram(), 8 * kGiB);
  EXPECT(m.map.verify().has_value());
}

TEST(mm_page_map, a_page_that_changed_hands_by_itself_is_found) {
  Machine m(kSmall);
  auto* purposes = reinterpret_cast<u8*>(m.storage.data());
  purposes[0x300] = static_cast<u8>(Purpose::kHeap);
  EXPECT(!m.map.verify().has_value());
  purposes[0x300] = static_cast<u8>(Purpose::kFree);
  EXPECT(m.map.verify().has_value());
}

TEST(mm_page_map, large_runs_are_aligned_and_small_ones_stay_together) {
  Machine m(kLarge);
  auto weights = m.map.allocate({5 * kGiB / mm::kPageBytes + 3, mm::kLargePageBytes, ~u64{0}},
                                Purpose::kWeights);
  REQUIRE(weights.has_value());
  EXPECT_EQ(*weights % mm::kLargePageBytes, 0u);
  EXPECT_EQ(m.map.pages_of(Purpose::kWeights), 5 * kGiB / mm::kPageBytes + 3);
  auto one = m.map.allocate({1, mm::kPageBytes, ~u64{0}}, Purpose::kHeap);
  auto two = m.map.allocate({1, mm::kPageBytes, ~u64{0}}, Purpose::kHeap);
  REQUIRE(one.has_value() && two.has_value());
  EXPECT_EQ(*one / mm::kLargePageBytes, *two / mm::kLargePageBytes);
  auto low = m.map.allocate({1, mm::kPageBytes, 0x100000}, Purpose::kDma);
  REQUIRE(low.has_value());
  EXPECT(*low < 0x100000);
  auto below = m.map.allocate({1024, mm::kPageBytes, u64{1} << 32}, Purpose::kDma);
  REQUIRE(below.has_value());
  EXPECT(*below + 4 * kMiB <= u64{1} << 32);
  EXPECT(!m.map.allocate({7 * kGiB / mm::kPageBytes, mm::kPageBytes, ~u64{0}}, Purpose::kDma)
              .has_value());
  m.map.free(*weights, 5 * kGiB / mm::kPageBytes + 3);
  EXPECT(m.map.verify().has_value());
}

TEST(mm_page_map, random_work_agrees_with_a_model) {
  Machine m(kSmall);
  u64 free_at_start = m.map.pages_of(Purpose::kFree);
  std::vector<Purpose> model(m.map.segments()[0].end() / mm::kPageBytes);
  for (usize p = 0; p < model.size(); p++) model[p] = m.map.at(p * mm::kPageBytes);
  struct Run {
    u64 base;
    usize pages;
  };
  std::vector<Run> live;
  Random random;
  for (u32 round = 0; round < 3000; round++) {
    if (live.empty() || random.below(5) < 3) {
      usize pages = 1 + random.below(random.below(10) == 0 ? 4000 : 20);
      u64 align = mm::kPageBytes << random.below(10);
      auto run = m.map.allocate({pages, align, ~u64{0}}, Purpose::kEngine);
      if (!run.has_value()) continue;
      EXPECT_EQ(*run % align, 0u);
      for (usize p = 0; p < pages; p++) {
        Purpose& page = model[*run / mm::kPageBytes + p];
        EXPECT(page == Purpose::kFree);
        page = Purpose::kEngine;
      }
      live.push_back({*run, pages});
    } else {
      usize at = random.below(live.size());
      m.map.free(live[at].base, live[at].pages);
      for (usize p = 0; p < live[at].pages; p++)
        model[live[at].base / mm::kPageBytes + p] = Purpose::kFree;
      live[at] = live.back();
      live.pop_back();
    }
  }
  EXPECT(m.map.verify().has_value());
  for (const Run& run : live) m.map.free(run.base, run.pages);
  EXPECT_EQ(m.map.pages_of(Purpose::kFree), free_at_start);
  EXPECT(m.map.verify().has_value());
}
