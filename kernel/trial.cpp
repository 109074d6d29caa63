// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the trial's clock.
#include "kernel/trial.h"

#include <atomic>

#include "boot/boot_info.h"
#include "kernel/arch_contract.h"
#include "kernel/base/format.h"
#include "kernel/log.h"
#include "kernel/options.h"
#include "kernel/time/clock.h"

namespace trial {
namespace {

constexpr u64 kMinuteNs = 60'000'000'000;
constexpr std::string_view kTrialName = "update.trial";

constexpr Option kTrial{"update.trial", OptionKind::kFlag, "", "",
                        "set by the boot loader: this kernel must prove itself"};
constexpr Option kSlot{"update.slot", OptionKind::kChoice, "", "installed|a|b",
                       "set by the boot loader: where it has found this kernel"};
constexpr Option kMinutes{"update.minutes", OptionKind::kNumber, "5", "1..60",
                          "minutes in which a new kernel must prove itself"};
KERNEL_OPTION(kTrial);
KERNEL_OPTION(kSlot);
KERNEL_OPTION(kMinutes);

constinit std::atomic<bool> under_way{false};
constinit std::atomic<u64> limit_ns{5 * kMinuteNs};

// A page of a PC's conventional memory. SeaBIOS clears 0x7000 to 0x90000 before it starts a disk,
// and has data of its own at the end of this memory, GRUB its code from 0x8000 and its buffers from
// 0x68000; UEFI's loaders keep above 1 MiB.
constexpr u64 kRecordAddress = 0x90000, kRecordPage = 4096;
constinit DeathRecord* room = nullptr;
constinit DeathRecord last;

constinit Pulse pulse{};
// The state of the boot CPU as check() has seen it.
constinit std::atomic<u64> seen_beat{0}, alive_ns{0};

// Returns for how long the boot CPU has neither scheduled nor slept. Any context.
u64 stands_still_ns(u64 now) {
  if (pulse.beat == nullptr) return 0;
  u64 beat = pulse.beat();
  bool alive = pulse.idle() || seen_beat.exchange(beat, std::memory_order_relaxed) != beat;
  if (alive) alive_ns.store(now, std::memory_order_relaxed);
  return now - alive_ns.load(std::memory_order_relaxed);
}

}  // namespace

void look_at(std::string_view command_line) {
  usize at = command_line.find(kTrialName);
  if (at == std::string_view::npos) return;
  std::string_view behind = command_line.substr(at + kTrialName.size());
  bool whole = (at == 0 || command_line[at - 1] == ' ') && (behind.empty() || behind[0] == ' ');
  under_way.store(whole, std::memory_order_relaxed);
}

u64 room_for_record(const BootInfo& boot) {
  auto overlaps = [](u64 base, u64 bytes) {
    return base < kRecordAddress + kRecordPage && kRecordAddress < base + bytes;
  };
  bool is_ram = false;
  for (const MemoryRange& range : boot.memory) {
    bool whole =
        range.base <= kRecordAddress && range.base + range.size >= kRecordAddress + kRecordPage;
    if (range.kind == MemoryKind::kUsable)
      is_ram |= whole;
    else if (overlaps(range.base, range.size))
      return 0;
  }
  for (const BootModule& module : boot.modules)
    if (overlaps(module.base, module.size)) return 0;
  return is_ram ? kRecordAddress : 0;
}

void read_record(const BootInfo& boot) {
  adopt_record(reinterpret_cast<DeathRecord*>(room_for_record(boot)));
}

void adopt_record(DeathRecord* at) {
  room = at;
  last = at != nullptr && at->whole() ? *at : DeathRecord();
  if (at != nullptr) *at = {};  // it counts once
}

DeathRecord* record_room() {
  return room;
}

void note_death(Death death, std::string_view reason) {
  if (!on() || room == nullptr || room->whole()) return;
  room->write(death, slot(), reason);
}

const DeathRecord* last_death() {
  return last.whole() ? &last : nullptr;
}

void start(const Pulse& of_boot_cpu) {
  if (!on()) return;
  pulse = of_boot_cpu;
  read_limit();
  Result<void> watched = arch::Cpu::watch_boot_cpu(check);
  if (!watched.has_value()) log::warn("update", "a hang will not be noticed: {}", watched.error());
}

void read_limit() {
  limit_ns.store(options::number(kMinutes) * kMinuteNs, std::memory_order_relaxed);
}

bool on() {
  return under_way.load(std::memory_order_relaxed);
}

void check() {
  constexpr u64 kSecondNs = 1'000'000'000, kHangNs = 20 * kSecondNs;
  if (!on()) return;
  u64 now = timing::now_ns(), still = stands_still_ns(now);
  if (now <= deadline_ns()) return;
  char text[64];
  if (still >= kHangNs)
    note_death(Death::kHang,
               base::format_into(text, "cpu 0 has not scheduled for {} s", still / kSecondNs));
  else
    note_death(Death::kLate, "its time was over");
  arch::Cpu::reboot();
}

void end() {
  under_way.store(false, std::memory_order_relaxed);
}

u64 deadline_ns() {
  return limit_ns.load(std::memory_order_relaxed);
}

std::string_view slot() {
  return options::text(kSlot);
}

}  // namespace trial
