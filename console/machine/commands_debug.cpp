// SPDX-License-Identifier: GPL-2.0-or-later
// What a developer asks of the machine: the call chain and registers of a panic, faults on purpose.
#include <arch/faults.h>

#include "console/command.h"
#include "kernel/arch_contract.h"
#include "kernel/irq/irq.h"
#include "kernel/panic.h"
#include "kernel/sched/worker_pool.h"
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

// A step in which the last worker never comes back, for the watchdog to find. It comes back when
// the watchdog has had its say, so that the test can go on.
[[gnu::noinline]] void fault_stuck_worker(void*, u32 worker) {
  if (worker + 1 != sched::worker_count()) return;
  u64 before = sched::worker_counters().stalls;
  while (sched::worker_counters().stalls == before) arch::Cpu::relax();
  constexpr u64 kLinger = 100'000'000;  // ns: the count comes before the look at this CPU
  u64 end = timing::now_ns() + kLinger;
  while (timing::now_ns() < end) arch::Cpu::relax();
}

Result<void> run_stuck_worker(base::Writer& out) {
  if (sched::worker_count() < 2)
    return fail(Errc::kUnsupported, "there is one cpu: nobody would watch it");
  sched::run_on_workers(fault_stuck_worker, nullptr);
  out.write("the watchdog has seen it\n");
  return {};
}

constexpr std::string_view kStuckWorker = "stuck-worker";

Result<void> run_fault(const Arguments& arguments, base::Writer& out) {
  if (arguments.words.size() == 2) {
    std::string_view wanted = arguments.words[1];
    if (wanted == kStuckWorker) return run_stuck_worker(out);
    for (const arch::Fault& fault : arch::faults()) {
      if (wanted != fault.name) continue;
      fault.trigger();
      return fail(Errc::kUnsupported, "nothing happened: the protection is not there");
    }
  }
  for (const arch::Fault& fault : arch::faults())
    base::format_to(out, "  {:<16} {}\n", fault.name, fault.what);
  base::format_to(out, "  {:<16} {}\n", kStuckWorker, "a worker that does not return");
  return fail(Errc::kInvalidArgument, "which fault?");
}

void complete_fault(std::string_view, void (*add)(void*, std::string_view), void* context) {
  for (const arch::Fault& fault : arch::faults()) add(context, fault.name);
  add(context, kStuckWorker);
}

constexpr Command kFault{.name = "fault",
                         .usage = "fault KIND",
                         .summary = "breaks the machine on purpose, to see the report",
                         .run = run_fault,
                         .details = "Without KIND: the list. All but stuck-worker end in a panic.",
                         .complete = complete_fault};
CONSOLE_COMMAND(kFault);

}  // namespace
}  // namespace console
