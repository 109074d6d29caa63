// SPDX-License-Identifier: GPL-2.0-or-later
// Handles every trap: interrupts go to their handler, and faults become a panic that explains
// itself. Intel SDM vol. 3, 6.15 (exceptions) and 4.7 (page-fault error codes).
#include <arch/cpu.h>
#include <arch/paging.h>
#include <arch/registers.h>
#include <arch/trap_frame.h>

#include "arch/x86_64/apic.h"
#include "arch/x86_64/smp.h"
#include "arch/x86_64/watch.h"
#include "kernel/irq/irq.h"
#include "kernel/panic.h"

extern "C" void trap_entry(arch::TrapFrame* frame);

namespace arch {
namespace {

constexpr u32 kNmi = 2, kDoubleFault = 8, kGeneralProtection = 13, kPageFault = 14;

constexpr const char* kExceptions[32] = {
    "divide error",
    "debug exception",
    "non-maskable interrupt",
    "breakpoint",
    "overflow",
    "bound range exceeded",
    "invalid opcode",
    "device not available",
    "double fault",
    "coprocessor segment overrun",
    "invalid task state",
    "segment not present",
    "stack segment fault",
    "general protection fault",
    "page fault",
    "reserved exception 15",
    "x87 floating-point error",
    "alignment check",
    "machine check",
    "SIMD floating-point error",
    "virtualization exception",
    "control protection exception",
    "reserved exception 22",
    "reserved exception 23",
    "reserved exception 24",
    "reserved exception 25",
    "reserved exception 26",
    "reserved exception 27",
    "hypervisor injection",
    "VMM communication",
    "security exception",
    "reserved exception 31",
};

bool canonical(u64 address) {
  return static_cast<i64>(address << 16) >> 16 == static_cast<i64>(address);
}

// Returns what a page fault at this address most likely means, or null.
const char* address_hint(u64 address) {
  if (paging::is_guard(address)) return ": a guard page, so a stack overflow";
  if (address < paging::kPageBytes) return ": near null, so a null pointer";
  return "";
}

void explain_page_fault(const TrapFrame& frame, u64 address, base::Writer& out) {
  bool fetch = (frame.error & 1 << 4) != 0;
  bool write = (frame.error & 1 << 1) != 0;
  base::format_to(out, "page fault: {} {:016x}{} (page {}{}{}{})",
                  fetch   ? "execution at"
                  : write ? "write to"
                          : "read from",
                  address, address_hint(address),
                  (frame.error & 1) != 0 ? "forbids it" : "not present",
                  (frame.error & 1 << 2) != 0 ? ", user mode" : "",
                  (frame.error & 1 << 3) != 0 ? ", reserved bit set" : "",
                  (frame.error & 1 << 5) != 0 ? ", protection key" : "");
}

// Returns true if the instruction at `at` needs 16-byte alignment: MOVAPS, MOVNTPS, MOVDQA,
// MOVNTDQ.
bool wants_alignment(u64 at) {
  for (u32 i = 0; i < 4 && is_readable(at + i + 1); i++) {
    u8 byte = *reinterpret_cast<const u8*>(at + i);
    bool prefix = byte == 0x66 || (byte & 0xf0) == 0x40;
    if (prefix) continue;
    u8 opcode = *reinterpret_cast<const u8*>(at + i + 1);
    constexpr std::string_view kAligned = "\x28\x29\x2b\x6f\x7f\xe7";
    return byte == 0x0f && kAligned.contains(static_cast<char>(opcode));
  }
  return false;
}

// The CPU does not report the address of a non-canonical access, so the registers are searched for
// one.
void explain_general_protection(const TrapFrame& frame, base::Writer& out) {
  base::format_to(out, "general protection fault");
  if (frame.error != 0) {
    constexpr const char* kTables[] = {"GDT", "IDT", "LDT", "IDT"};
    base::format_to(out, ": selector {:x} in the {}{}", frame.error & 0xfff8,
                    kTables[frame.error >> 1 & 3],
                    (frame.error & 1) != 0 ? ", external event" : "");
    return;
  }
  if (wants_alignment(frame.rip)) return out.write(": an unaligned vector access");
  const struct {
    const char* name;
    u64 value;
  } kRegisters[] = {{"rax", frame.rax}, {"rbx", frame.rbx}, {"rcx", frame.rcx}, {"rdx", frame.rdx},
                    {"rsi", frame.rsi}, {"rdi", frame.rdi}, {"rbp", frame.rbp}, {"rip", frame.rip},
                    {"r8", frame.r8},   {"r9", frame.r9},   {"r10", frame.r10}, {"r11", frame.r11},
                    {"r12", frame.r12}, {"r13", frame.r13}, {"r14", frame.r14}, {"r15", frame.r15}};
  for (const auto& r : kRegisters)
    if (!canonical(r.value))
      return base::format_to(out, ": {} = {:016x} is not a canonical address", r.name, r.value);
}

void explain(const TrapFrame& frame, base::Writer& out) {
  u64 address = read_cr2();
  switch (frame.vector) {
    case kPageFault:
      return explain_page_fault(frame, address, out);
    case kGeneralProtection:
      return explain_general_protection(frame, out);
    case kDoubleFault:
      return base::format_to(out, "double fault; last page fault at {:016x}{}", address,
                             address_hint(address));
    default:
      base::format_to(out, "{}", kExceptions[frame.vector]);
      if (frame.error != 0) base::format_to(out, " (error code {:x})", frame.error);
  }
}

// The CPU's own vectors only end a sleep. A spurious one is not even acknowledged (11.9).
void interrupt(u32 vector) {
  if (vector == apic::kSpuriousVector) return;
  this_cpu().interrupted.store(true, std::memory_order_relaxed);
  if (vector != apic::kTimerVector && vector != apic::kWakeVector) irq::dispatch(vector);
  apic::end_of_interrupt();
}

}  // namespace

bool is_readable(u64 address) {
  return paging::is_mapped(address);
}

void print_registers(const TrapFrame& f, base::Writer& out) {
  const struct {
    const char* name;
    u64 value;
  } kRows[] = {{"rip", f.rip},      {"rsp", f.rsp},      {"rbp", f.rbp},      {"flg", f.rflags},
               {"rax", f.rax},      {"rbx", f.rbx},      {"rcx", f.rcx},      {"rdx", f.rdx},
               {"rsi", f.rsi},      {"rdi", f.rdi},      {"r8 ", f.r8},       {"r9 ", f.r9},
               {"r10", f.r10},      {"r11", f.r11},      {"r12", f.r12},      {"r13", f.r13},
               {"r14", f.r14},      {"r15", f.r15},      {"cr0", read_cr0()}, {"cr2", read_cr2()},
               {"cr3", read_cr3()}, {"cr4", read_cr4()}, {"vec", f.vector},   {"err", f.error}};
  u32 column = 0;
  for (const auto& row : kRows)
    base::format_to(out, "  {} {:016x}{}", row.name, row.value, ++column % 4 == 0 ? "\n" : "");
}

}  // namespace arch

void trap_entry(arch::TrapFrame* frame) {
  using namespace arch;
  if (frame->vector >= 32) return interrupt(static_cast<u32>(frame->vector));
  if (frame->vector == kNmi && (smp::take_nmi(*frame) || watch::take_nmi(*frame))) return;
  static constinit char text[256];
  base::BufferWriter reason(text);
  explain(*frame, reason);
  panic_at(*frame, reason.view());
}
