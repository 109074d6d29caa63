// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel heap over malloc'd arenas: random work, alignment, exhaustion, damage found.
#include <cstdlib>
#include <map>
#include <vector>

#include "kernel/base/test.h"
#include "kernel/mm/heap.h"

namespace {

struct Arenas {
  usize limit = 64 * kMiB, taken = 0;
  u32 runs = 0;
  std::map<Byte*, usize> held{};

  ~Arenas() {
    for (auto [memory, bytes] : held) std::free(memory);
  }
  static std::span<Byte> take(void* self, usize bytes) {
    auto& a = *static_cast<Arenas*>(self);
    if (bytes > a.limit - a.taken) return {};
    auto* memory = static_cast<Byte*>(std::aligned_alloc(mm::kPageBytes, bytes));
    a.taken += bytes;
    a.runs++;
    a.held[memory] = bytes;
    return {memory, bytes};
  }
  static void give_back(void* self, std::span<Byte> pages) {
    auto& a = *static_cast<Arenas*>(self);
    a.taken -= pages.size();
    a.runs--;
    a.held.erase(pages.data());
    std::free(pages.data());
  }
  mm::Heap::Source source() { return {take, give_back, this}; }
};

struct Random {
  u64 state = 0x9e3779b97f4a7c15;
  u64 below(u64 n) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % n;
  }
};

struct Piece {
  Byte* memory;
  usize size;
  Byte fill;
  bool intact() const {
    for (usize i = 0; i < size; i++)
      if (memory[i] != fill) return false;
    return true;
  }
};

void stress(TestContext& test, mm::Heap::RedZones red_zones) {
  Arenas arenas;
  mm::Heap heap;
  heap.init(arenas.source(), red_zones);
  Random random;
  std::vector<Piece> live;
  for (u32 round = 0; round < 40'000; round++) {
    if (live.size() < 50 || random.below(2) == 0) {
      usize size = random.below(random.below(100) == 0 ? 300'000
                                : random.below(8) == 0 ? 9000
                                                       : 200);
      usize align = usize{1} << random.below(random.below(16) == 0 ? 13 : 7);
      auto* memory = static_cast<Byte*>(heap.allocate(size, align));
      REQUIRE(memory != nullptr);
      EXPECT_EQ(reinterpret_cast<u64>(memory) % align, 0u);
      auto fill = static_cast<Byte>(random.below(256));
      std::memset(memory, fill, size);
      live.push_back({memory, size, fill});
    } else {
      usize at = random.below(live.size());
      EXPECT(live[at].intact());
      heap.deallocate(live[at].memory);
      live[at] = live.back();
      live.pop_back();
    }
    if (round % 4000 == 0) EXPECT(heap.verify().has_value());
  }
  EXPECT_EQ(heap.usage().live_allocations, live.size());
  EXPECT_EQ(heap.arena_bytes(), arenas.taken);
  for (const Piece& p : live) {
    EXPECT(p.intact());
    heap.deallocate(p.memory);
  }
  EXPECT_EQ(heap.usage().live_bytes, 0u);
  EXPECT_EQ(arenas.runs, 1u);  // all but one arena went back
  EXPECT(heap.verify().has_value());
  void* whole = heap.allocate(60'000, 16);  // what was torn apart is one piece again
  EXPECT_EQ(arenas.runs, 1u);
  heap.deallocate(whole);
}

}  // namespace

TEST(mm_heap, random_work_keeps_every_byte) {
  stress(test, mm::Heap::RedZones::kNo);
}

TEST(mm_heap, random_work_with_red_zones) {
  stress(test, mm::Heap::RedZones::kYes);
}

TEST(mm_heap, exhaustion_is_a_value) {
  Arenas arenas{.limit = kMiB};
  mm::Heap heap;
  heap.init(arenas.source(), mm::Heap::RedZones::kNo);
  EXPECT(heap.allocate(2 * kMiB, 16) == nullptr);
  EXPECT(heap.allocate(~usize{0}, 16) == nullptr);
  EXPECT(heap.allocate(~usize{0} - 64, 16) == nullptr);
  EXPECT(heap.allocate(64, 2 * kMiB) == nullptr);
  std::vector<void*> all;
  while (void* memory = heap.allocate(1000, 16)) all.push_back(memory);
  EXPECT(all.size() > 900);
  EXPECT(heap.verify().has_value());
  for (void* memory : all) heap.deallocate(memory);
  EXPECT_EQ(heap.usage().live_bytes, 0u);
}

TEST(mm_heap, damage_is_found) {
  Arenas arenas;
  mm::Heap heap;
  heap.init(arenas.source(), mm::Heap::RedZones::kYes);
  auto* a = static_cast<Byte*>(heap.allocate(100, 16));
  auto* b = static_cast<Byte*>(heap.allocate(100, 16));
  auto* c = static_cast<Byte*>(heap.allocate(100, 16));
  REQUIRE(a != nullptr && b != nullptr && c != nullptr);
  EXPECT(heap.verify().has_value());
  // One byte past the end.
  Byte kept = a[100];
  a[100] = 0;
  const void* where = nullptr;
  EXPECT(!heap.verify(&where).has_value());
  EXPECT(where != nullptr && where < static_cast<void*>(a));
  a[100] = kept;
  EXPECT(heap.verify().has_value());
  // A write after free.
  heap.deallocate(b);
  EXPECT(heap.verify().has_value());
  kept = b[64];
  b[64] ^= 1;
  EXPECT(!heap.verify().has_value());
  b[64] = kept;
  EXPECT(heap.verify().has_value());
  heap.deallocate(a);
  heap.deallocate(c);
  EXPECT(heap.verify().has_value());
}
