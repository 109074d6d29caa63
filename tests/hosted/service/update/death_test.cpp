// SPDX-License-Identifier: GPL-2.0-or-later
// How a tried kernel ended: its record in memory, and what the kernel that is back says of it.
#include <memory>
#include <string>

#include "boot/boot_info.h"
#include "kernel/trial.h"
#include "tests/hosted/service/update/test_volume.h"

namespace {

using namespace test_update;

// The memory that a warm reset leaves, and the two kernels that look at it.
struct Room {
  trial::DeathRecord record;

  ~Room() { trial::adopt_record(nullptr); }
  void dies(trial::Death how, std::string_view why) {
    trial::adopt_record(&record);
    trial::look_at("update.trial");
    trial::note_death(how, why);
    trial::end();
  }
  void is_back() { trial::adopt_record(&record); }
};

TEST(update, the_kernel_that_is_back_says_how_the_other_one_ended) {
  Volume volume;
  Room room;
  char text[256];
  struct Row {
    trial::Death how;
    const char *why, *cause, *shown;
  };
  constexpr Row kRows[] = {
      {trial::Death::kPanic, "page fault", "panic", "panic: page fault (step start)"},
      {trial::Death::kHang, "cpu 0", "hang", "hang: cpu 0 (step start)"},
      {trial::Death::kLate, "its time was over", "late", "late: its time was over (step start)"}};
  for (const Row& row : kRows) {
    REQUIRE(volume.update(signed_file(kernel_of('n'))).has_value());
    volume.start();
    room.dies(row.how, row.why);
    EXPECT(volume.start() == Slot::kInstalled);
    room.is_back();
    REQUIRE(note_last_death(kPoint).has_value());
    EXPECT_EQ(std::string(failure_of(last_report(), text)), row.shown);
    EXPECT_EQ(std::string(cause_of(last_report())), row.cause);
    // It is on the disk, so the next start knows it as well.
    room.is_back();
    EXPECT(trial::last_death() == nullptr);
    REQUIRE(note_last_death(kPoint).has_value());
    EXPECT_EQ(std::string(failure_of(MUST(read_report(kPoint)), text)), row.shown);
  }
}

TEST(update, an_end_that_nobody_noted_is_not_known) {
  Volume volume;
  Room room;
  char text[256];
  auto tried_and_back = [&](auto happens) {
    ASSERT(volume.update(signed_file(kernel_of('n'))).has_value());
    volume.start();
    happens();
    volume.start();
    room.is_back();
    MUST(note_last_death(kPoint));
    return std::string(cause_of(last_report()));
  };
  EXPECT_EQ(tried_and_back([] {}), "unknown");
  EXPECT(failure_of(last_report(), text).starts_with("not known: power loss, a reset, a hang"));
  // A reset has changed a byte.
  EXPECT_EQ(tried_and_back([&] {
              room.dies(trial::Death::kPanic, "page fault");
              room.record.reason[2] ^= 1;
            }),
            "unknown");
  // The record is of a kernel in another slot.
  EXPECT_EQ(tried_and_back([&] {
              options::reset();
              options::parse_command_line("update.slot=b");
              room.dies(trial::Death::kPanic, "page fault");
            }),
            "unknown");
  // The words that the kernel wrote itself count more.
  EXPECT_EQ(tried_and_back([&] {
              MUST(note_reason(kPoint, "check: disks"));
              room.dies(trial::Death::kPanic, "page fault");
            }),
            "check");
}

TEST(update, a_record_of_an_end_is_whole_or_none) {
  trial::DeathRecord record;
  EXPECT(!record.whole());
  record.write(trial::Death::kHang, "a", std::string(200, 'r'));
  REQUIRE(record.whole());
  EXPECT(record.why() == std::string(96, 'r') && record.slot_name() == "a");
  auto* bytes = reinterpret_cast<Byte*>(&record);
  for (usize bit = 0; bit < 8 * sizeof record; bit++) {
    bytes[bit / 8] ^= static_cast<Byte>(1u << bit % 8);
    EXPECT(!record.whole());
    bytes[bit / 8] ^= static_cast<Byte>(1u << bit % 8);
  }
  EXPECT(record.whole());
  // The first of two notes counts, and a kernel that is not on trial notes nothing.
  Room room;
  room.dies(trial::Death::kPanic, "first");
  trial::adopt_record(nullptr);
  trial::DeathRecord copy = room.record;
  trial::look_at("update.trial");
  trial::note_death(trial::Death::kHang, "nowhere");
  trial::end();
  EXPECT(copy.whole() && copy.why() == "first");
  trial::adopt_record(&copy);
  trial::note_death(trial::Death::kPanic, "not on trial");
  EXPECT(!copy.whole());
  trial::look_at("update.trial");
  trial::note_death(trial::Death::kPanic, "first");
  trial::note_death(trial::Death::kHang, "second");
  trial::end();
  EXPECT(copy.whole() && copy.why() == "first" && copy.death == trial::Death::kPanic);
}

// Only RAM that the loader gives and did not use is taken for the record.
TEST(update, where_a_record_may_lie) {
  auto room_of = [](std::initializer_list<MemoryRange> memory, u64 module) {
    auto boot = std::make_unique<BootInfo>();
    for (const MemoryRange& range : memory) ASSERT(boot->memory.push_back(range));
    if (module != 0) ASSERT(boot->modules.push_back({module, 100, "m"}));
    return trial::room_for_record(*boot);
  };
  constexpr MemoryRange kLow{0, 0x9fc00, MemoryKind::kUsable};
  EXPECT(room_of({kLow}, 0) == 0x90000);
  EXPECT(room_of({kLow}, 0x10000) == 0x90000);
  EXPECT(room_of({kLow}, 0x90fff) == 0 && room_of({kLow}, 0x90000 - 99) == 0);
  EXPECT(room_of({}, 0) == 0 && room_of({{0x4000'0000, kGiB, MemoryKind::kUsable}}, 0) == 0);
  EXPECT(room_of({kLow, {0x90800, 16, MemoryKind::kReserved}}, 0) == 0);
}

}  // namespace
