// SPDX-License-Identifier: GPL-2.0-or-later
// Words the panic for a call from the wrong context.
#include "kernel/sched/context.h"

#include "kernel/arch_contract.h"
#include "kernel/sched/thread.h"

namespace sched {
namespace {

[[noreturn]] void stop(std::string_view found, std::string_view expected, const char* file,
                       int line) {
  // static, because assertion_failed() keeps the pointer
  static char text[160];
  auto whole = base::format_into(std::span(text).first(sizeof text - 1), "expected {}, this is {}",
                                 expected, found);
  text[whole.size()] = 0;
  assertion_failed(text, file, line);
}

}  // namespace

void check_thread(const char* file, int line) {
  constexpr std::string_view kExpected = "a thread of cpu 0 that may wait";
  char found[64];
  u32 cpu = arch::Cpu::cpu_index();
  if (cpu != 0) stop(base::format_into(found, "cpu {}", cpu), kExpected, file, line);
  if (current() == nullptr) stop("the boot before there are threads", kExpected, file, line);
  std::string_view self = name(current());
  if (!in_thread())
    stop(base::format_into(found, "a handler while {} waits", self), kExpected, file, line);
  bool on = arch::Cpu::disable_interrupts();
  arch::Cpu::restore_interrupts(on);
  if (!on) stop(base::format_into(found, "{} with interrupts off", self), kExpected, file, line);
}

void check_owner(const Thread* owner, const char* file, int line) {
  if (owner == current()) return;
  char expected[40];
  stop(current() == nullptr ? "no thread" : name(current()),
       base::format_into(expected, "thread {}", name(owner)), file, line);
}

}  // namespace sched
