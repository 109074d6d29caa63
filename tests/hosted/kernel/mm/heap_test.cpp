// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel heap over malloc'd arenas: random work, alignment, exhaustion, damage found.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <vector>

#include "kernel/base/test.h"
#include "kernel/mm/heap.h"
#include "tests/hosted/test_death.h"

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
  heap.drain();
  // All but one arena went back; the list of what is held back stays.
  const u32 left = red_zones == mm::Heap::RedZones::kYes ? 2 : 1;
  EXPECT_EQ(arenas.runs, left);
  EXPECT(heap.verify().has_value());
  void* whole = heap.allocate(60'000, 16);  // what was torn apart is one piece again
  EXPECT_EQ(arenas.runs, left);
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

// Freed memory is not handed out again for a while, so a pointer that was kept finds nonsense.
TEST(mm_heap, what_was_freed_is_held_back) {
  Arenas arenas;
  mm::Heap heap;
  heap.init(arenas.source(), mm::Heap::RedZones::kYes);
  auto* freed = static_cast<Byte*>(heap.allocate(100, 16));
  std::memset(freed, 1, 100);
  heap.deallocate(freed);
  for (u32 i = 0; i < 100; i++) EXPECT_EQ(freed[i], 0xdd);
  for (u32 i = 0; i < 1000; i++) {
    void* next = heap.allocate(100, 16);
    EXPECT(next != freed);
    heap.deallocate(next);
  }
  EXPECT(death_of([&] { heap.deallocate(freed); }).find("heap.cpp") != std::string::npos);
  // But not for ever: a megabyte in turn comes round after four of them.
  bool again = false;
  for (u32 i = 0; i < 100'000 && !again; i++) {
    void* next = heap.allocate(100, 16);
    again = next == freed;
    heap.deallocate(next);
  }
  EXPECT(again);
}

TEST(mm_heap, a_late_write_is_told_with_its_block) {
  auto write_late = [] {
    static Arenas arenas;
    static mm::Heap heap;
    mm::Heap::Source source = arenas.source();
    source.report = [](void*, const mm::LateWrite& found) {
      std::fprintf(stderr, "%zu bytes, offset %zu, by %p; ", found.bytes, found.offset,
                   found.freed_by);
    };
    heap.init(source, mm::Heap::RedZones::kYes);
    auto* freed = static_cast<Byte*>(heap.allocate(100, 16));
    heap.deallocate(freed, reinterpret_cast<void*>(0x1234));
    freed[40] = 1;
    heap.drain();
  };
  std::string said = death_of(write_late);
  EXPECT(said.find("100 bytes, offset 40, by 0x1234") != std::string::npos);
  EXPECT(said.find("written_after_free") != std::string::npos);
}

// Blocks that are held back are memory, too: they are released before an allocation fails.
TEST(mm_heap, what_is_held_back_does_not_make_memory_short) {
  Arenas arenas{.limit = 2 * kMiB};
  mm::Heap heap;
  heap.init(arenas.source(), mm::Heap::RedZones::kYes);
  for (usize size : {1000u, 60'000u, 900'000u})
    for (u32 i = 0; i < 200; i++) {
      void* memory = heap.allocate(size, 16);
      REQUIRE(memory != nullptr);
      heap.deallocate(memory);
    }
  EXPECT(heap.verify().has_value());
}
