// SPDX-License-Identifier: GPL-2.0-or-later
// Commands for developers: the call chain and registers of a panic, and faults on purpose.
#include "console/shell/command.h"
#include "kernel/arch_machine.h"
#include "kernel/base/memory.h"
#include "kernel/fault.h"
#include "kernel/irq/irq.h"
#include "kernel/panic.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/worker_pool.h"
#include "kernel/sync/lock.h"
#include "kernel/time/clock.h"

namespace console {
namespace {

Result<void> run_backtrace(const Arguments&, base::Writer& out) {
  panic_print_backtrace(out);
  return {};
}
constexpr Command kBacktrace{.name = "bt",
                             .usage = "bt",
                             .summary = "the call chain of the panic, or of this command",
                             .run = run_backtrace,
                             .panic_safe = true};
CONSOLE_COMMAND(kBacktrace);

Result<void> run_registers(const Arguments&, base::Writer& out) {
  panic_print_registers(out);
  return {};
}
constexpr Command kRegisters{.name = "registers",
                             .usage = "registers",
                             .summary = "the registers at the fault (panic shell)",
                             .run = run_registers,
                             .panic_safe = true};
CONSOLE_COMMAND(kRegisters);

Result<void> run_interrupts(const Arguments&, base::Writer& out) {
  irq::list(out);
  return {};
}
constexpr Command kInterrupts{.name = "interrupts",
                              .usage = "interrupts",
                              .summary = "interrupt vectors in use and their counts",
                              .run = run_interrupts,
                              .panic_safe = true};
CONSOLE_COMMAND(kInterrupts);

// Returns some time after the watchdog's next report, which counts first and examines the CPU then.
void outstay_the_watchdog() {
  u64 before = sched::worker_counters().stalls;
  while (sched::worker_counters().stalls == before) arch::Cpu::relax();
  constexpr u64 kLinger = 100'000'000;  // ns
  u64 end = timing::now_ns() + kLinger;
  while (timing::now_ns() < end) arch::Cpu::relax();
}

// A task in which the last worker does not return before the watchdog has reported it.
[[gnu::noinline]] void fault_stuck_worker(void*, u32 worker) {
  if (worker + 1 == sched::worker_count()) outstay_the_watchdog();
}

Result<void> run_stuck_worker(base::Writer& out) {
  if (sched::worker_count() < 2) return fail(Errc::kUnsupported, "this needs a second CPU");
  sched::run_on_workers(fault_stuck_worker, nullptr);
  out.write("the watchdog has seen it\n");
  return {};
}

[[gnu::noinline]] void fault_stuck_cpu() {
  locks::InterruptsOff off;
  outstay_the_watchdog();
}

Result<void> run_stuck_cpu(base::Writer& out) {
  fault_stuck_cpu();
  out.write("the watchdog has seen it\n");
  return {};
}

void write_byte(void* at) {
  *static_cast<volatile Byte*>(at) = 1;
}

Result<void> run_heap_overrun(base::Writer&) {
  constexpr usize kBytes = 100;
  void* memory = base::allocate(kBytes, 8);
  if (memory == nullptr) return fail(Errc::kOutOfMemory, "no memory");
  write_byte(static_cast<Byte*>(memory) + kBytes);
  base::deallocate(memory);
  return fail(Errc::kUnsupported, "not noticed: only DEBUG=1 builds have red zones");
}

Result<void> run_heap_late_write(base::Writer&) {
  constexpr usize kBytes = 1000;
  void* memory = base::allocate(kBytes, 8);
  if (memory == nullptr) return fail(Errc::kOutOfMemory, "no memory");
  base::deallocate(memory);
  write_byte(static_cast<Byte*>(memory) + kBytes / 2);
  // Freed memory is checked when enough other blocks were freed after it.
  for (u32 i = 0; i < 10'000; i++) base::deallocate(base::allocate(kBytes, 8));
  return fail(Errc::kUnsupported, "not noticed: only DEBUG=1 builds poison freed memory");
}

Result<void> run_heap_double_free(base::Writer&) {
  void* memory = base::allocate(100, 8);
  base::deallocate(memory);
  base::deallocate(memory);
  return fail(Errc::kUnsupported, "nothing happened: the heap did not notice");
}

Result<void> run_wait_without_interrupts(base::Writer&) {
  {
    locks::InterruptsOff off;
    sched::sleep_ns(1'000'000);
  }
  return fail(Errc::kUnsupported,
              "not noticed: only DEBUG=1 builds check whether a thread may wait");
}

[[gnu::noinline]] i32 fault_signed_overflow(volatile i32& largest) {
  return largest + 1;
}

Result<void> run_signed_overflow(base::Writer&) {
  volatile i32 largest = 0x7fffffff;
  largest = fault_signed_overflow(largest);
  return fail(Errc::kUnsupported, "not noticed: only SAN=1 builds check arithmetic");
}

// Mistakes that are not faults of a CPU. kernel/fault.h and the architecture list those.
struct Mistake {
  const char* name;
  const char* what;
  Result<void> (*run)(base::Writer& out);
};
constexpr Mistake kMistakes[] = {
    {"heap-double-free", "frees a heap block twice", run_heap_double_free},
    {"heap-late-write", "writes to freed memory (DEBUG=1)", run_heap_late_write},
    {"heap-overrun", "writes past the end of a heap block (DEBUG=1)", run_heap_overrun},
    {"signed-overflow", "adds to the largest integer (SAN=1)", run_signed_overflow},
    {"stuck-cpu", "the boot cpu stays where it is, its interrupts off", run_stuck_cpu},
    {"stuck-worker", "a worker that does not return", run_stuck_worker},
    {"wait-masked", "a thread sleeps with interrupts off (DEBUG=1)", run_wait_without_interrupts},
};

Result<void> run_fault(const Arguments& arguments, base::Writer& out) {
  std::string_view wanted = arguments.words.size() == 2 ? arguments.words[1] : std::string_view();
  for (const Mistake& mistake : kMistakes)
    if (wanted == mistake.name) return mistake.run(out);
  for (std::span<const faults::Fault> table : {faults::of_every_cpu(), arch::faults()})
    for (const faults::Fault& fault : table) {
      if (wanted != fault.name) continue;
      fault.trigger();
      return fail(Errc::kUnsupported, "nothing happened: the protection is not there");
    }
  for (std::span<const faults::Fault> table : {faults::of_every_cpu(), arch::faults()})
    for (const faults::Fault& fault : table)
      base::format_to(out, "  {:<16} {}\n", fault.name, fault.what);
  for (const Mistake& mistake : kMistakes)
    base::format_to(out, "  {:<16} {}\n", mistake.name, mistake.what);
  return fail(Errc::kInvalidArgument, "name a fault");
}

void complete_fault(std::string_view, void (*add)(void*, std::string_view), void* context) {
  for (std::span<const faults::Fault> table : {faults::of_every_cpu(), arch::faults()})
    for (const faults::Fault& fault : table) add(context, fault.name);
  for (const Mistake& mistake : kMistakes) add(context, mistake.name);
}

constexpr Command kFault{
    .name = "fault",
    .usage = "fault KIND",
    .summary = "breaks the machine on purpose, to see the report",
    .run = run_fault,
    .details =
        "Without KIND: the list. All end in a panic save those that the watchdog\n"
        "reports and those that only a DEBUG=1 or SAN=1 build notices.",
    .complete = complete_fault};
CONSOLE_COMMAND(kFault);

}  // namespace
}  // namespace console
