// SPDX-License-Identifier: GPL-2.0-or-later
// Tests the kernel log and the trace rings under weak ordering: a line or an event is read whole or
// not at all. Their data is read while it is overwritten, and the reader checks it afterwards.
#include "kernel/log.cpp"  // NOLINT(bugprone-suspicious-include): its ring has no other name

#include "kernel/base/test.h"
#include "kernel/trace_ring.h"
#include "tests/weak/explorer.h"

void terminal::announce(std::string_view) {}
u64 timing::ticks_at(u64 ns) {
  return ns;
}
u64 timing::ns_from_ticks(u64 ticks) {
  return ticks;
}

using weak::Without;

namespace {

// A line is overwritten by the one kLines later while another CPU reads it.
void write_over(Without without, weak::Outcome& outcome) {
  outcome = weak::explore({.without = without},
                          {[] {
                             log::Line& slot = log::lines[0];
                             weak::racy(slot.text, sizeof slot.text);
                             weak::racy(&slot.size, sizeof slot.size);
                             weak::racy(&slot.ticks, sizeof slot.ticks);
                             log::write(log::Level::kInfo, "a", "old", {});
                             log::next.store(log::kLines, std::memory_order_relaxed);
                             weak::start_others();
                             log::write(log::Level::kInfo, "a", "new", {});
                           },
                           [] {
                             for (u32 number : {0u, log::kLines}) {
                               char text[log::kLineBytes];
                               usize size = 0;
                               u64 ticks = 0;
                               bool whole =
                                   log::copy_line(number, log::lines[0], text, size, ticks);
                               if (!whole) continue;
                               std::string_view wanted = number == 0 ? "a: old\n" : "a: new\n";
                               weak::check(std::string_view(text, size) == wanted, "a torn line");
                             }
                           }});
}

constexpr trace::Event event_of(u64 n) {
  return {.ticks = n,
          .name = "zone",
          .value = n,
          .thread = static_cast<u32>(n),
          .kind = trace::Kind::kBegin,
          .reserved = {}};
}

// A ring of two events: the third overwrites the first while another CPU reads them.
void trace_over(Without without, weak::Outcome& outcome) {
  using Ring = trace::RingOf<2>;
  static Ring::Row rows[2];
  static Ring ring;
  ring.use(rows);
  outcome = weak::explore(
      {.without = without},
      {[] {
         ring.record(event_of(0));
         ring.record(event_of(1));
         weak::start_others();
         ring.record(event_of(2));
       },
       [] {
         u32 last = ring.last();
         weak::check(last >= 2, "events that were there are gone");
         // The newest event is read first: no earlier read has ordered anything before it.
         for (u32 slot = last - 1; slot + 3 > last; slot--) {
           trace::Event event{};
           if (!ring.read(slot, event)) continue;
           weak::check(event.ticks == slot && event.value == slot && event.thread == slot,
                       "a torn event");
         }
       }});
}

}  // namespace

TEST(weak_log, a_line_that_is_written_over_is_read_whole_or_not_at_all) {
  weak::Outcome outcome;
  write_over(Without::kNothing, outcome);
  EXPECT_EQ(outcome.failure, "");
  EXPECT(outcome.complete);
  for (Without without : {Without::kAcquire, Without::kRelease, Without::kFences}) {
    write_over(without, outcome);
    EXPECT(!outcome.failure.empty());
  }
}

TEST(weak_log, an_event_that_is_written_over_is_read_whole_or_not_at_all) {
  weak::Outcome outcome;
  trace_over(Without::kNothing, outcome);
  EXPECT_EQ(outcome.failure, "");
  EXPECT(outcome.complete);
  for (Without without : {Without::kAcquire, Without::kRelease, Without::kFences}) {
    trace_over(without, outcome);
    EXPECT(!outcome.failure.empty());
  }
}
