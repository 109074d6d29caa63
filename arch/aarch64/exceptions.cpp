// SPDX-License-Identifier: GPL-2.0-or-later
// Every exception ends here: interrupts go to their handler, faults become a panic that explains
// itself. Arm ARM D1.3 (entry), D19.2.37 (ESR_EL1).
#include <arch/cpu.h>
#include <arch/paging.h>
#include <arch/registers.h>
#include <arch/trap_frame.h>

#include "arch/aarch64/gic.h"
#include "arch/aarch64/smp.h"
#include "arch/aarch64/timer.h"
#include "kernel/irq/irq.h"
#include "kernel/panic.h"

extern "C" void exception_entry(arch::TrapFrame* frame);

namespace arch {
namespace {

// The entries of vectors.S. An exception in a handler has the number plus 4.
enum Kind : u8 { kSynchronous, kInterrupt, kFastInterrupt, kSystemError, kFirstNested, kLower = 8 };

// Exception classes.
constexpr u32 kFetchAbort = 0x21, kDataAbort = 0x25;

struct ClassName {
  u32 number;
  const char* text;
};
constexpr ClassName kClasses[] = {
    {0x00, "undefined instruction"},
    {0x07, "vector instruction while vectors are off"},
    {0x0e, "illegal execution state"},
    {0x15, "supervisor call"},
    {0x16, "hypervisor call"},
    {0x17, "monitor call"},
    {0x18, "system register that is not there"},
    {0x19, "SVE instruction while SVE is off"},
    {0x22, "program counter not on an instruction"},
    {0x26, "stack pointer not on 16 bytes"},
    {0x2c, "floating-point error"},
    {0x2f, "system error"},
    {0x30, "breakpoint"},
    {0x32, "single step"},
    {0x34, "watchpoint"},
    {0x3c, "BRK instruction"},
};

const char* class_name(u32 number) {
  for (const ClassName& row : kClasses)
    if (row.number == number) return row.text;
  return "unknown exception";
}

// Returns the meaning of a fault status. In the first four rows the two lowest bits are the level
// of the walk.
const char* status_text(u32 status) {
  constexpr u32 kSynchronousExternal = 0x10, kAlignment = 0x21;
  constexpr const char* kByLevel[] = {"no such address", "not mapped", "access flag clear",
                                      "forbidden"};
  if (status < 16) return kByLevel[status >> 2];
  if (status == kSynchronousExternal) return "nothing answers there";
  if (status == kAlignment) return "not aligned";
  return "translation failed";
}

// Returns the likeliest cause of an abort at this address, or "".
const char* address_hint(u64 address) {
  if (paging::is_guard(address)) return ": a guard page, so a stack overflow";
  if (address < paging::kPageBytes) return ": near null, so a null pointer";
  return "";
}

void explain(const TrapFrame& frame, base::Writer& out) {
  if (frame.kind >= kLower) return out.write("exception from a level that Marrow does not use");
  if (frame.kind >= kFirstNested) out.write("in an exception handler: ");
  u64 door = frame.kind % kFirstNested;
  if (door == kSystemError) return base::format_to(out, "system error (syndrome {:x})", frame.esr);
  if (door != kSynchronous) return out.write("unexpected interrupt");
  u32 number = static_cast<u32>(frame.esr >> 26 & 63);
  if (number != kFetchAbort && number != kDataAbort)
    return base::format_to(out, "{} (syndrome {:x})", class_name(number), frame.esr);
  bool write = number == kDataAbort && (frame.esr >> 6 & 1) != 0;
  base::format_to(out, "memory fault: {} {:016x}{} ({})",
                  number == kFetchAbort ? "execution at"
                  : write               ? "write to"
                                        : "read from",
                  frame.far, address_hint(frame.far), status_text(frame.esr & 63));
}

void interrupt(const TrapFrame& frame) {
  u32 number = gic::acknowledge();
  if (number >= gic::kFirstSpecial && number < gic::kFirstMessage) return;  // no longer pending
  this_cpu().interrupted.store(true, std::memory_order_relaxed);
  if (number < 16) {
    gic::end(number);  // before take_message(), which does not return when the CPU is stopped
    return smp::take_message(frame);
  }
  if (!take_timer(number)) irq::dispatch(gic::vector_of(number));
  gic::end(number);
}

}  // namespace

bool is_readable(u64 address) {
  return paging::is_mapped(address);
}

void print_registers(const TrapFrame& f, base::Writer& out) {
  u32 column = 0;
  auto show = [&](const char* name, u64 value) {
    base::format_to(out, "  {} {:016x}{}", name, value, ++column % 4 == 0 ? "\n" : "");
  };
  show("pc  ", f.elr);
  show("sp  ", f.kind >= kFirstNested ? f.handler_sp : f.sp);
  show("psr ", f.spsr);
  show("kind", f.kind);
  show("esr ", f.esr);
  show("far ", f.far);
  show("ttbr", READ_SYSTEM("ttbr0_el1"));
  show("sctl", READ_SYSTEM("sctlr_el1"));
  for (u32 i = 0; i < std::size(f.x); i++) {
    char name[8];
    base::format_into(name, "x{:<3}", i);
    show(name, f.x[i]);
  }
  out.write("\n");
}

}  // namespace arch

void exception_entry(arch::TrapFrame* frame) {
  using namespace arch;
  if (frame->kind == kInterrupt) return interrupt(*frame);
  static constinit char text[256];
  base::BufferWriter reason(text);
  explain(*frame, reason);
  panic_at(*frame, reason.view());
}
