// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the trial's clock.
#include "kernel/trial.h"

#include <atomic>

#include "kernel/arch_contract.h"
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

}  // namespace

void look_at(std::string_view command_line) {
  usize at = command_line.find(kTrialName);
  if (at == std::string_view::npos) return;
  std::string_view behind = command_line.substr(at + kTrialName.size());
  bool whole = (at == 0 || command_line[at - 1] == ' ') && (behind.empty() || behind[0] == ' ');
  under_way.store(whole, std::memory_order_relaxed);
}

void start() {
  if (!on()) return;
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
  if (on() && timing::now_ns() > deadline_ns()) arch::Cpu::reboot();
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
