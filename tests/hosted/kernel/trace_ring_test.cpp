// SPDX-License-Identifier: GPL-2.0-or-later
// Trace rings: what is read is what was written, also while somebody writes.
#include "kernel/trace_ring.h"

#include <thread>
#include <vector>

#include "kernel/base/test.h"

namespace {

using trace::Event, trace::Ring;

struct Fixture {
  std::vector<Ring::Row> rows{trace::kRingEvents};
  Ring ring;
  Fixture() { ring.use(rows.data()); }
};

Event event(u64 number) {
  return {number, "event", ~number, static_cast<u32>(number), trace::Kind::kInstant, {}};
}

}  // namespace

TEST(trace_ring, a_row_is_seen_when_it_is_written) {
  Fixture f;
  u32 slot = f.ring.begin();
  EXPECT_EQ(f.ring.last(), 0u);
  f.ring.record(event(2));  // an interrupt
  EXPECT_EQ(f.ring.last(), 0u);
  f.ring.write(slot, event(1));
  EXPECT_EQ(f.ring.last(), 0u);
  f.ring.end();
  EXPECT_EQ(f.ring.last(), 2u);
  Event e;
  REQUIRE(f.ring.read(0, e));
  EXPECT_EQ(e.ticks, 1u);
  REQUIRE(f.ring.read(1, e));
  EXPECT_EQ(e.ticks, 2u);
}

TEST(trace_ring, a_row_that_is_written_over_is_not_read) {
  Fixture f;
  for (u32 i = 0; i < trace::kRingEvents; i++) f.ring.record(event(i));
  EXPECT_EQ(f.ring.first(), 0u);
  Event e;
  EXPECT(f.ring.read(0, e));
  u32 slot = f.ring.begin();  // takes the place of the oldest
  EXPECT(!f.ring.read(0, e));
  EXPECT(f.ring.read(1, e));
  f.ring.write(slot, event(slot));
  f.ring.end();
  EXPECT_EQ(f.ring.first(), 1u);
  f.ring.clear();
  EXPECT(!f.ring.read(slot, e));
}

// One writes a quarter of a million rows, one reads: whatever it gets is whole and in its place.
TEST(trace_ring, readers_beside_the_writer_get_whole_rows) {
  Fixture f;
  constexpr u32 kRows = 250'000;
  std::atomic<bool> ended{false};
  std::thread writer([&] {
    for (u32 i = 0; i < kRows; i++) f.ring.record(event(i));
    ended.store(true);
  });
  u64 wrong = 0, read = 0;
  bool last_look = false;
  while (!last_look) {
    last_look = ended.load();
    for (u32 end = f.ring.last(), i = f.ring.first(); i < end; i++) {
      Event e;
      if (!f.ring.read(i, e)) continue;
      read++;
      wrong += e.ticks == i && e.value == ~u64{i} && e.thread == i ? 0 : 1;
    }
  }
  writer.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT(read >= trace::kRingEvents);
}
