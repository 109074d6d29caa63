// SPDX-License-Identifier: GPL-2.0-or-later
// Switches cooperative threads with ucontext, and tells AddressSanitizer about every change of
// stack.
#include "kernel/arch_contract.h"

#if defined(__SANITIZE_ADDRESS__)
#define MARROW_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MARROW_ASAN 1
#endif
#endif
#ifdef MARROW_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

namespace arch {
namespace {

// Only CPU 0 runs threads, so one variable can tell the new stack which context it came from, if
// AddressSanitizer asks.
[[maybe_unused]] Context* switched_from = nullptr;

void arrive([[maybe_unused]] Context& here) {
#ifdef MARROW_ASAN
  const void* bottom = nullptr;
  usize bytes = 0;
  __sanitizer_finish_switch_fiber(here.fake_stack, &bottom, &bytes);
  switched_from->stack_bottom = bottom;
  switched_from->stack_bytes = bytes;
#endif
}

Context* starting = nullptr;

void first_step() {
  Context& here = *starting;
  arrive(here);
  here.entry(here.argument);  // never returns: thread.cpp switches away for good
}

}  // namespace

void Cpu::init_context(Context& context, u64 stack_end, void (*entry)(void*), void* argument) {
  constexpr usize kAssumedBytes = kMinimumStackBytes;  // the smallest stack there is
  getcontext(&context.machine);
  context.machine.uc_stack.ss_sp = reinterpret_cast<void*>(stack_end - kAssumedBytes);
  context.machine.uc_stack.ss_size = kAssumedBytes;
  context.machine.uc_link = nullptr;
  context.entry = entry;
  context.argument = argument;
  context.stack_bottom = context.machine.uc_stack.ss_sp;
  context.stack_bytes = kAssumedBytes;
  context.fake_stack = nullptr;
  makecontext(&context.machine, first_step, 0);
}

void Cpu::switch_context(Context& from, Context& to) {
  switched_from = &from;
  starting = &to;
#ifdef MARROW_ASAN
  __sanitizer_start_switch_fiber(&from.fake_stack, to.stack_bottom, to.stack_bytes);
#endif
  swapcontext(&from.machine, &to.machine);
  arrive(from);
}

}  // namespace arch
