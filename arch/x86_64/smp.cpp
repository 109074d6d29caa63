// SPDX-License-Identifier: GPL-2.0-or-later
// Starts further CPUs and reaches them by NMI. Intel SDM vol. 3, chapter 9.4 and MP 1.4, B.4.
#include "arch/x86_64/smp.h"

#include <arch/cpu.h>
#include <arch/paging.h>
#include <arch/registers.h>

#include <algorithm>

#include "arch/x86_64/apic.h"
#include "arch/x86_64/cpu_state.h"
#include "arch/x86_64/descriptors.h"
#include "arch/x86_64/watch.h"
#include "kernel/base/bytes.h"
#include "kernel/base/memory.h"
#include "kernel/log.h"
#include "kernel/symbols.h"
#include "kernel/sync/lock.h"

namespace {

struct Slot {  // the layout is also in smp_trampoline.asm
  u32 apic_id;
  u32 index;
  u64 stack_top;
};

}  // namespace

extern "C" {
extern const Byte smp_trampoline_begin[], smp_trampoline_end[];
u64 smp_root = 0;
Slot smp_slots[arch::smp::kMaxCpus + 1] = {};
[[noreturn]] void smp_main(u32 index);
}

namespace arch {
namespace {

enum class Message : u8 { kNone, kBacktrace, kStop };

struct CpuRecord {
  u32 apic_id = 0;
  CpuBlock* block = nullptr;
  void (*entry)(void*) = nullptr;
  void* argument = nullptr;
  std::atomic<bool> started{false};
  std::atomic<Message> message{Message::kNone};
};

constinit CpuRecord records[smp::kMaxCpus];
constinit u32 record_count = 1;
constinit u32 slot_count = 0;
constinit u64 trampoline = 0;
constexpr u32 kNobody = ~u32{0};  // all CPUs, where a number is meant: no CPU has it

// One backtrace at a time; the interrupted CPU fills it.
constinit std::array<u64, 32> captured{};
constinit std::atomic<u32> captured_count{0};

symbols::Place place_of(const TrapFrame& frame) {
  return {frame.program_counter(), frame.frame_pointer(), frameless_caller(frame)};
}

void spin_ticks(u64 ticks) {
  u64 end = Cpu::now_ticks() + ticks;
  while (Cpu::now_ticks() < end) Cpu::relax();
}

Result<CpuBlock*> make_block(u32 index) {
  void* memory = base::allocate(sizeof(CpuBlock), alignof(CpuBlock));
  if (memory == nullptr) return fail(Errc::kOutOfMemory, "no memory for a CPU's stacks");
  auto* block = ::new (memory) CpuBlock{};
  block->local.index = index;
  TRY(guard_stacks(*block));
  return block;
}

// The CPU with this index has not answered: the next one of the firmware's list takes its place and
// its stacks. An INIT makes the dead one wait for a start-up message, should it ever wake.
Result<void> replace_dead(u32 index) {
  apic::send_init(records[index].apic_id);
  for (u32 i = index; i + 1 < record_count; i++) records[i].apic_id = records[i + 1].apic_id;
  record_count--;
  Slot* slot = std::ranges::find(smp_slots, index, &Slot::index);
  slot->apic_id = index < record_count ? records[index].apic_id : kNobody;
  if (index == record_count) return fail(Errc::kNotFound, "no further CPU");
  return {};
}

}  // namespace

namespace smp {

void set_cpus(std::span<const u32> apic_ids) {
  u32 own = apic::id();
  record_count = 1;
  records[0].apic_id = own;
  records[0].block = &boot_cpu_block();
  records[0].block->local.apic_id = own;
  records[0].started = true;
  u32 unreachable = 0;
  for (u32 id : apic_ids) {
    if (id == own) continue;
    if (id >= apic::first_unreachable())
      unreachable++;
    else if (record_count < kMaxCpus)
      records[record_count++].apic_id = id;
  }
  if (unreachable > 0)
    log::warn("cpu",
              "{} cpus have numbers of 255 and more, which this mode of the apic cannot reach",
              unreachable);
}

void set_trampoline(u64 page) {
  trampoline = page;
  if (page == 0) return;
  std::memcpy(reinterpret_cast<void*>(page), smp_trampoline_begin,
              static_cast<usize>(smp_trampoline_end - smp_trampoline_begin));
}

const CpuBlock* block_of(u32 cpu) {
  return cpu < record_count ? records[cpu].block : nullptr;
}

bool take_nmi(const TrapFrame& frame) {
  Message message = records[Cpu::cpu_index()].message.exchange(Message::kNone);
  if (message == Message::kStop) halt_forever();
  if (message != Message::kBacktrace) return false;
  u32 count = symbols::capture(place_of(frame), captured);
  captured_count.store(count, std::memory_order_release);
  return true;
}

}  // namespace smp

u32 Cpu::cpu_count() {
  return record_count;
}

bool cpu_started(u32 index) {
  return index < record_count && records[index].started.load();
}

Result<void> Cpu::start_secondary_cpu(u32 index, void (*entry)(void*), void* argument) {
  if (index == 0 || index >= record_count) return fail(Errc::kInvalidArgument, "no such CPU");
  if (trampoline == 0) return fail(Errc::kUnsupported, "no RAM below 1 MiB to start a CPU in");
  CpuRecord& record = records[index];
  if (record.started) return fail(Errc::kBusy, "the CPU was started before");
  if (record.block == nullptr) {
    record.block = TRY(make_block(index));
    smp_slots[slot_count++] = {record.apic_id, index, record.block->main.top()};
  } else {
    TRY(replace_dead(index));
  }
  record.block->local.apic_id = record.apic_id;
  record.entry = entry;
  record.argument = argument;
  smp_root = read_cr3();
  // The manual's 10 ms after INIT are for CPUs with an external APIC; later ones do not need them.
  // The second start-up message is for a CPU that missed the first; others ignore it.
  constexpr u64 kPause = 50'000;  // ticks: about 10 to 50 us
  apic::send_init(record.apic_id);
  spin_ticks(kPause);
  apic::send_startup(record.apic_id, trampoline);
  spin_ticks(kPause);
  apic::send_startup(record.apic_id, trampoline);
  return {};
}

void Cpu::wake_cpu(u32 index) {
  if (cpu_started(index)) apic::send_wake(records[index].apic_id);
}

// Returns the call chain of another CPU, captured by NMI; empty if it does not answer.
static std::span<const u64> capture_cpu(u32 index) {
  captured_count = 0;
  records[index].message = Message::kBacktrace;
  apic::send_nmi(records[index].apic_id);
  constexpr u64 kPatience = 3'000'000'000;  // ticks: about a second; an NMI takes a microsecond
  u64 end = Cpu::now_ticks() + kPatience;
  while (captured_count.load(std::memory_order_acquire) == 0 && Cpu::now_ticks() < end)
    Cpu::relax();
  return std::span(captured).first(captured_count.load(std::memory_order_acquire));
}

// Reports the calling CPU, from inside the watch's NMI. It takes no lock, because the CPU may hold
// that very lock.
static void report_own(u32 index) {
  const TrapFrame* frame = watch::interrupted();
  if (frame == nullptr) return log::warn("cpu", "cpu {} is the one that asks", index);
  std::array<u64, 32> chain;
  symbols::log_chain(index, std::span(chain).first(symbols::capture(place_of(*frame), chain)));
}

void Cpu::report_cpu(u32 index) {
  if (!cpu_started(index)) return log::warn("cpu", "cpu {} was never started", index);
  if (index == cpu_index()) return report_own(index);
  // Two CPUs may suspect each other at once; an NMI is also taken while waiting here.
  static constinit locks::Spinlock lock;
  bool on = lock.lock();
  std::span<const u64> chain = capture_cpu(index);
  if (chain.empty())
    log::error("cpu", "cpu {} does not answer an nmi", index);
  else
    symbols::log_chain(index, chain);
  lock.unlock(on);
}

void stop_other_cpus() {
  for (u32 i = 0; i < record_count; i++) {
    if (i == Cpu::cpu_index() || !cpu_started(i)) continue;
    records[i].message = Message::kStop;
    apic::send_nmi(records[i].apic_id);
  }
}

}  // namespace arch

void smp_main(u32 index) {
  using namespace arch;
  CpuRecord& record = records[index];
  load_descriptors(*record.block);
  paging::init_secondary();
  init_cpu_state();
  apic::enable();
  record.started.store(true);
  Cpu::restore_interrupts(true);
  record.entry(record.argument);
  halt_forever();
}
