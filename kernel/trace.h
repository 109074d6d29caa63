// SPDX-License-Identifier: GPL-2.0-or-later
// Shows where time goes: marks of the boot, and a ring of events per CPU, which can be dumped for
// Perfetto.
//
// Zones enclose operations (a step, a transfer, a request), never inner loops: a zone costs two
// reads of the cycle counter and 64 bytes of the ring. Names are literals.
//
// record() and what is built on it may be called from any context. The other functions are for
// threads of CPU 0 unless they say otherwise; other CPUs may record meanwhile. None of them waits,
// except for a writer that does.
#pragma once

#include "kernel/arch_contract.h"
#include "kernel/base/format.h"

namespace trace {

enum class Kind : u8 { kBegin, kEnd, kInstant, kCounter };

struct Event {
  u64 ticks;
  const char* name;
  u64 value;
  u32 thread;  // 0 on CPUs that have no threads
  Kind kind;
  u8 reserved[3];
};
static_assert(sizeof(Event) == 32);

// Allocates the rings, which are never freed. Called once at boot. A CPU without a ring drops its
// events.
void init();
void set_enabled(bool on);
bool enabled();

// Does nothing before init(), and on a CPU that has no ring.
void record(Kind kind, const char* name, u64 value = 0);
inline void instant(const char* name, u64 value = 0) {
  record(Kind::kInstant, name, value);
}
inline void counter(const char* name, u64 value) {
  record(Kind::kCounter, name, value);
}

class Zone {
 public:
  explicit Zone(const char* name) : name_(name) { record(Kind::kBegin, name); }
  ~Zone() { record(Kind::kEnd, name_); }
  Zone(const Zone&) = delete;
  Zone& operator=(const Zone&) = delete;

 private:
  const char* name_;
};

// Writes the rings in Chrome's trace event format, which ui.perfetto.dev opens, oldest first for
// each CPU.
void dump(base::Writer& out);
// Prints the last `count` events of each CPU, one per line. Also during a panic.
void print(base::Writer& out, u32 count);
// Prints the newest `count` events (at most 32) of all CPUs in order of time. Also during a panic.
void print_newest(base::Writer& out, u32 count);
void clear();

// ---- the boot chart ------------------------------------------------------------------------

// Marks the end of a part of the boot. For the boot CPU; works from the first line of kernel_main.
void boot_mark(const char* what);
// Prints one line per mark: milliseconds since the first instruction, the time of the part before
// it, and a bar.
void boot_chart(base::Writer& out);
u64 boot_ns();  // at the last mark

}  // namespace trace
