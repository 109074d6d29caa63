// SPDX-License-Identifier: GPL-2.0-or-later
// Where time goes: marks of the boot, and a ring of events a CPU, dumped for Perfetto.
//
// Zones stand on operations (a step, a transfer, a request), never in inner loops: one costs two
// reads of the cycle counter and 64 bytes of the ring. Names are literals.
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

// Takes the rings' pages; events before it (and after a failure) are dropped.
void init();
void set_enabled(bool on);
bool enabled();

// Any context.
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

// The rings as Chrome's trace event format, which ui.perfetto.dev opens. Oldest first a CPU.
void dump(base::Writer& out);
// The last `count` events of each CPU, a line each. Panic context too.
void print(base::Writer& out, u32 count);
// The newest `count` events (at most 32) of all CPUs in order of time. Panic context too.
void print_newest(base::Writer& out, u32 count);
void clear();

// ---- the boot chart ------------------------------------------------------------------------

// What came to an end now. Boot CPU; works from the first line of kernel_main.
void boot_mark(const char* what);
// A line a mark: milliseconds since the first instruction, what the part before it took, a bar.
void boot_chart(base::Writer& out);
u64 boot_ns();  // at the last mark

}  // namespace trace
