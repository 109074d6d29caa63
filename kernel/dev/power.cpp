// SPDX-License-Identifier: GPL-2.0-or-later
// The thread that serves the power button and Ctrl-Alt-Del.
#include "kernel/dev/power.h"

#include <atomic>

#include "kernel/arch_contract.h"
#include "kernel/dev/registry.h"
#include "kernel/dev/terminal.h"
#include "kernel/log.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"

namespace power {
namespace {

// enough for an answer of a small model; that of a large one is cut off
constexpr u64 kFarewellNs = 20'000'000'000;

constinit std::atomic<Wish> wish{Wish::kNone};
constinit sched::WaitQueue asked;

void end(Wish how) {
  terminal::announce(how == Wish::kOff
                         ? "power: off, when the answers under way are finished"
                         : "power: a restart, when the answers under way are finished");
  u64 deadline = timing::now_ns() + kFarewellNs;
  for (const Farewell* row : farewells_rows()) row->run(deadline);
  save();
  if (how == Wish::kOff)
    arch::Cpu::power_off(0);
  else
    arch::Cpu::reboot();
  terminal::announce(
      "power: everything is saved, but this machine cannot turn itself off: use its switch");
}

void serve(void*) {
  Twice restart;
  for (;;) {
    Wish now = wish.exchange(Wish::kNone);
    if (now == Wish::kNone)
      asked.wait();
    else if (now == Wish::kRestart && !restart.again(timing::now_ns()))
      terminal::announce("power: Ctrl-Alt-Del once more within 10 s restarts the machine");
    else
      end(now);
  }
}

}  // namespace

void ask(Wish what) {
  wish = what;
  asked.wake_all();
}

Result<void> start() {
  TRY(sched::spawn("power", serve, nullptr));
  return {};
}

void save() {
  for (BlockDevice* disk : devices::blocks()) {
    BlockGeometry g = disk->geometry();
    if (g.blocks == 0 || g.read_only) continue;
    Result<void> flushed = block::flush(*disk);
    if (!flushed.has_value()) log::warn("power", "{}: flushing: {}", disk->name(), flushed.error());
  }
}

}  // namespace power
