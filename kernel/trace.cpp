// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the rings of trace events and the boot chart.
#include "kernel/trace.h"

#include "kernel/log.h"
#include "kernel/mm/memory.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"
#include "kernel/trace_ring.h"

namespace trace {
namespace {

constexpr u32 kMaxCpus = 256;
constexpr u32 kMaxMarks = 32;

constinit Ring rings[kMaxCpus];
constinit std::atomic<bool> on{false};

struct Mark {
  u64 ticks;
  const char* what;
};
constinit StaticVector<Mark, kMaxMarks> marks;

u64 ns_at(u64 ticks) {
  return timing::ns_from_ticks(ticks - timing::ticks_at(0));
}

u32 thread_id() {
  if (arch::Cpu::cpu_index() != 0) return 0;
  // Enough bits of the thread's address to tell threads apart.
  return static_cast<u32>(reinterpret_cast<u64>(sched::current()) >> 4);
}

template <class Fn>
void for_each_event(const Ring& ring, u32 count, Fn&& fn) {
  u32 end = ring.last();
  u32 have = std::min({end, kRingEvents, count});
  for (u32 i = end - have; i != end; i++)
    if (Event e; ring.read(i, e)) fn(e);
}

void print_event(base::Writer& out, u32 cpu, const Event& e) {
  constexpr const char* kMarks[] = {"{", "}", "!", "="};
  base::format_to(out, "cpu {:>2} {:>14} us {} {} {}\n", cpu,
                  base::Decimal{static_cast<i64>(ns_at(e.ticks)), 3},
                  kMarks[static_cast<u32>(e.kind)], e.name, e.value);
}

}  // namespace

void init() {
  for (u32 cpu = 0; cpu < std::min(arch::Cpu::cpu_count(), kMaxCpus); cpu++) {
    auto pages =
        mm::allocate_pages({.bytes = kRingEvents * sizeof(Event), .purpose = mm::Purpose::kTrace});
    if (!pages.has_value()) {
      log::warn("trace", "no memory for the ring of cpu {}", cpu);
      return;
    }
    rings[cpu].use(reinterpret_cast<Ring::Row*>(pages->data()));
  }
  on.store(true);
}

void set_enabled(bool enable) {
  on.store(enable, std::memory_order_relaxed);
}

bool enabled() {
  return on.load(std::memory_order_relaxed);
}

void record(Kind kind, const char* name, u64 value) {
  if (!enabled()) return;
  Ring& ring = rings[arch::Cpu::cpu_index()];
  if (ring.ready()) ring.record({arch::Cpu::now_ticks(), name, value, thread_id(), kind, {}});
}

// ts is in microseconds. The format needs a JSON number, so nanoseconds become its fraction.
void dump(base::Writer& out) {
  out.write("{\"traceEvents\":[");
  bool first = true;
  constexpr const char* kPhases[] = {"B", "E", "i", "C"};
  for (u32 cpu = 0; cpu < kMaxCpus; cpu++) {
    for_each_event(rings[cpu], kRingEvents, [&](const Event& e) {
      base::format_to(out, "{}\n{{\"name\":\"{}\",\"ph\":\"{}\",\"ts\":{},\"pid\":{},\"tid\":{}",
                      first ? "" : ",", e.name, kPhases[static_cast<u32>(e.kind)],
                      base::Decimal{static_cast<i64>(ns_at(e.ticks)), 3}, cpu, e.thread);
      if (e.kind == Kind::kInstant) out.write(",\"s\":\"t\"");
      if (e.kind == Kind::kInstant || e.kind == Kind::kCounter)
        base::format_to(out, ",\"args\":{{\"value\":{}}}", e.value);
      out.write("}");
      first = false;
    });
  }
  out.write("\n],\"displayTimeUnit\":\"ns\"}\n");
}

void print(base::Writer& out, u32 count) {
  for (u32 cpu = 0; cpu < kMaxCpus; cpu++)
    for_each_event(rings[cpu], count, [&](const Event& e) { print_event(out, cpu, e); });
}

void print_newest(base::Writer& out, u32 count) {
  struct Found {
    u32 cpu = 0;
    Event event{};
  };
  StaticVector<Found, 32> newest;  // newest first
  std::array<u32, kMaxCpus> end{};
  for (u32 cpu = 0; cpu < kMaxCpus; cpu++) end[cpu] = rings[cpu].last();
  while (newest.size() < std::min<usize>(count, newest.capacity())) {
    Found best;
    for (u32 cpu = 0; cpu < kMaxCpus; cpu++) {
      Event e;
      if (end[cpu] == 0 || !rings[cpu].read(end[cpu] - 1, e)) continue;
      if (best.event.name == nullptr || e.ticks > best.event.ticks) best = {cpu, e};
    }
    if (best.event.name == nullptr || !newest.push_back(best)) break;
    end[best.cpu]--;
  }
  for (usize i = newest.size(); i > 0; i--)
    print_event(out, newest[i - 1].cpu, newest[i - 1].event);
}

void clear() {
  for (Ring& ring : rings) ring.clear();
}

void boot_mark(const char* what) {
  // A full chart keeps its beginning: later marks are dropped.
  if (!marks.push_back({arch::Cpu::now_ticks(), what}))
    log::warn("trace", "the boot chart is full at {}", what);
}

u64 boot_ns() {
  return marks.empty() ? 0 : ns_at(marks[marks.size() - 1].ticks);
}

void boot_chart(base::Writer& out) {
  constexpr u32 kBarColumns = 40;
  u64 total = std::max<u64>(boot_ns(), 1);
  u64 before = 0;
  base::format_to(out, "{:<18} {:>10}    {:>10}\n", "until", "at", "took");
  for (const Mark& m : marks) {
    u64 at = ns_at(m.ticks);
    u64 took = at - before;
    u32 start = static_cast<u32>(before * kBarColumns / total);
    u32 width = std::max<u32>(static_cast<u32>(at * kBarColumns / total) - start, 1);
    base::format_to(out, "{:<18} {:>10} ms {:>10} ms  ", m.what, base::ratio(at, 1'000'000, 3),
                    base::ratio(took, 1'000'000, 3));
    for (u32 i = 0; i < start + width && i < kBarColumns; i++) out.write(i < start ? " " : "#");
    out.write("\n");
    before = at;
  }
}

}  // namespace trace
