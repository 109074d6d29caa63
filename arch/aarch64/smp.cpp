// SPDX-License-Identifier: GPL-2.0-or-later
// Starts further CPUs by PSCI, and reaches them by the GIC's messages.
#include "arch/aarch64/smp.h"

#include <arch/cpu.h>
#include <arch/paging.h>
#include <arch/registers.h>

#include "arch/aarch64/cpu_block.h"
#include "arch/aarch64/gic.h"
#include "arch/aarch64/paging_tables.h"
#include "arch/aarch64/platform.h"
#include "arch/aarch64/psci.h"
#include "arch/aarch64/timer.h"
#include "kernel/base/bytes.h"
#include "kernel/base/memory.h"
#include "kernel/log.h"
#include "kernel/symbols.h"
#include "kernel/sync/lock.h"

extern "C" {
void secondary_entry();
[[noreturn]] void secondary_main(arch::CpuBlock* block);
}

namespace arch {
namespace {

enum class Message : u8 { kNone, kWake, kBacktrace, kStop, kHold };

struct CpuRecord {
  u64 affinity = 0;
  CpuBlock* block = nullptr;
  void (*entry)(void*) = nullptr;
  void* argument = nullptr;
  std::atomic<bool> started{false};
  std::atomic<Message> message{Message::kNone};
  std::atomic<u32> held{0};  // number of the last hold in which it waited
};

constinit CpuRecord records[smp::kMaxCpus];
constinit u32 record_count = 1;

// Holds are numbered, so that a CPU that comes too late for one does not count for the next.
constinit std::atomic<u32> hold_wanted{0}, hold_released{0};

// Holds one backtrace at a time. The interrupted CPU fills it.
constinit std::array<u64, 32> captured{};
constinit std::atomic<u32> captured_count{0};

u64 own_affinity() {
  return READ_SYSTEM("mpidr_el1") & 0xff'00ff'ffff;
}

void send(u32 index, Message message) {
  records[index].message = message;
  gic::send(index, records[index].affinity);
}

u64 a_second() {
  return Cpu::now_ticks() + READ_SYSTEM("cntfrq_el0");
}

// Waits without the stack and without any memory but this word, because the block that holds them
// may be mapped nowhere meanwhile.
void wait_for_release(CpuRecord& own) {
  u32 number = hold_wanted.load(), released;
  own.held.store(number);
  asm volatile(
      "1: ldar %w0, [%1]\n"
      "yield\n"
      "sub %w0, %w0, %w2\n"
      "tbnz %w0, #31, 1b\n"  // waits until this or a later release
      : "=&r"(released)
      : "r"(&hold_released), "r"(number)
      : "cc", "memory");
}

}  // namespace

namespace smp {

void set_cpus(std::span<const u64> affinities) {
  u64 own = own_affinity();
  record_count = 1;
  records[0].affinity = own;
  records[0].block = &boot_cpu_block();
  records[0].started = true;
  for (u64 affinity : affinities)
    if (affinity != own && record_count < kMaxCpus) records[record_count++].affinity = affinity;
}

const CpuBlock* block_of(u32 cpu) {
  return cpu < record_count ? records[cpu].block : nullptr;
}

void take_message(const TrapFrame& frame) {
  CpuRecord& own = records[Cpu::cpu_index()];
  Message message = own.message.exchange(Message::kNone);
  if (message == Message::kStop) halt_forever();
  if (message == Message::kHold) wait_for_release(own);
  if (message != Message::kBacktrace) return;
  symbols::Place place{frame.program_counter(), frame.frame_pointer(), frameless_caller(frame)};
  captured_count.store(symbols::capture(place, captured), std::memory_order_release);
}

Result<void> hold_other_cpus() {
  u32 number = hold_released.load() + 1;
  hold_wanted.store(number);
  auto is_other = [](u32 i) { return i != Cpu::cpu_index() && cpu_started(i); };
  for (u32 i = 0; i < record_count; i++)
    if (is_other(i)) send(i, Message::kHold);
  u64 end = a_second();
  for (u32 i = 0; i < record_count; i++) {
    while (is_other(i) && records[i].held.load() != number && Cpu::now_ticks() < end) Cpu::relax();
    if (!is_other(i) || records[i].held.load() == number) continue;
    release_other_cpus();
    return fail(Errc::kBusy, "a CPU does not answer, so the memory map stays as it is");
  }
  return {};
}

void release_other_cpus() {
  hold_released.store(hold_wanted.load());
}

}  // namespace smp

u32 Cpu::cpu_count() {
  return record_count;
}

bool cpu_started(u32 index) {
  return index < record_count && records[index].started.load();
}

static Result<CpuBlock*> make_block(u32 index) {
  void* memory = base::allocate(sizeof(CpuBlock), alignof(CpuBlock));
  if (memory == nullptr) return fail(Errc::kOutOfMemory, "no memory for a CPU's stacks");
  auto* block = ::new (memory) CpuBlock{};
  block->local.index = index;
  block->start = {mmu_registers, block->main.top(), block};
  TRY(guard_stacks(*block));
  return block;
}

// Gives the place of a CPU that does not answer to the next one, which gets a block of its own. The
// old block is kept: if the CPU wakes up after all, it finds that the place has another block, and
// halts.
static Result<void> replace_dead(u32 index) {
  for (u32 i = index; i + 1 < record_count; i++) records[i].affinity = records[i + 1].affinity;
  record_count--;
  if (index >= record_count) return fail(Errc::kNotFound, "the machine has no further CPU");
  return {};
}

// The CPU reads its CpuStart with MMU and caches off, so the CpuStart is cleaned to memory (Arm ARM
// B2.8).
Result<void> Cpu::start_secondary_cpu(u32 index, void (*entry)(void*), void* argument) {
  if (index == 0 || index >= record_count) return fail(Errc::kInvalidArgument, "no such CPU");
  CpuRecord& record = records[index];
  if (record.started) return fail(Errc::kBusy, "the CPU was started before");
  if (record.block != nullptr) TRY(replace_dead(index));
  record.entry = entry;
  record.argument = argument;
  for (;;) {
    record.block = TRY(make_block(index));
    record.block->local.affinity = record.affinity;
    auto start = reinterpret_cast<u64>(&record.block->start);
    clean_lines(start, start + sizeof record.block->start);
    auto started = psci::start_cpu(record.affinity, reinterpret_cast<u64>(&secondary_entry), start);
    if (started.has_value()) return {};
    log::warn("cpu", "cpu {} (affinity {:x}): {}", index, record.affinity, started.error());
    TRY(replace_dead(index));
  }
}

void Cpu::wake_cpu(u32 index) {
  if (!cpu_started(index)) return;
  Message none = Message::kNone;
  records[index].message.compare_exchange_strong(none,
                                                 Message::kWake);  // a pending one wakes it, too
  gic::send(index, records[index].affinity);
}

void Cpu::report_cpu(u32 index) {
  if (!cpu_started(index)) return log::warn("cpu", "cpu {} was never started", index);
  if (index == cpu_index()) return log::warn("cpu", "cpu {} is the one that asks", index);
  static constinit locks::Spinlock lock;
  bool on = lock.lock();
  captured_count = 0;
  send(index, Message::kBacktrace);
  u64 end = a_second();
  while (captured_count.load(std::memory_order_acquire) == 0 && now_ticks() < end) relax();
  std::span chain = std::span(captured).first(captured_count.load(std::memory_order_acquire));
  if (chain.empty())
    log::error("cpu", "cpu {} does not answer: its interrupts are off", index);
  else
    symbols::log_chain(index, chain);
  lock.unlock(on);
}

Result<void> Cpu::watch_boot_cpu(void (*)()) {
  return fail(Errc::kUnsupported, "no interrupt comes through where they are off");
}

void stop_other_cpus() {
  for (u32 i = 0; i < record_count; i++)
    if (i != Cpu::cpu_index() && cpu_started(i)) send(i, Message::kStop);
}

}  // namespace arch

void secondary_main(arch::CpuBlock* block) {
  using namespace arch;
  CpuRecord& record = records[block->local.index];
  if (record.block != block) halt_forever();  // too late: another CPU has its place
  load_cpu(*block);
  gic::init_cpu();
  init_cpu_timer();
  record.started.store(true);
  Cpu::restore_interrupts(true);
  record.entry(record.argument);
  halt_forever();
}
