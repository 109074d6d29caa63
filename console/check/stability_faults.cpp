// SPDX-License-Identifier: GPL-2.0-or-later
// Plants faults: `stability --plant KIND` shows that it finds what it claims to find.
#include "console/check/stability.h"
#include "kernel/arch_contract.h"
#include "kernel/sched/worker_pool.h"
#include "kernel/time/clock.h"

namespace console {
namespace {

constexpr u64 kMs = 1'000'000;
constexpr u64 kStallLimitNs = 100 * kMs, kStallNs = 400 * kMs;

}  // namespace

Result<void> Planter::after_round(const ai::Lease& model) {
  rounds_++;
  switch (kind_) {
    case Plant::kBit:
      if (flipped_) return {};
      TRY(service::engine_host().flip_weight_bit(model));
      flipped_ = true;
      return {};
    case Plant::kPage: {
      auto pages =
          TRY(mm::allocate_pages({.bytes = mm::kPageBytes, .purpose = mm::Purpose::kOther}));
      return leaked_.push_back(pages);
    }
    case Plant::kStall:
      return rounds_ == 1 ? stall_a_worker() : Result<void>();
    case Plant::kDrift:
    case Plant::kNothing:
      return {};
  }
  return {};
}

// Makes each round slower by a fiftieth of a step: after fifty rounds answers take twice as long.
u64 Planter::slow_ns(u64 step_ns) const {
  return kind_ == Plant::kDrift ? step_ns * rounds_ / 50 : 0;
}

// Keeps the last worker busy for longer than the watchdog's limit.
Result<void> Planter::stall_a_worker() {
  if (sched::worker_count() < 2)
    return fail(Errc::kUnsupported, "a stall needs at least two threads");
  u64 limit = sched::stall_limit();
  sched::set_stall_limit(kStallLimitNs);
  sched::run_on_workers(
      [](void*, u32 worker) {
        if (worker + 1 != sched::worker_count()) return;
        for (u64 end = timing::now_ns() + kStallNs; timing::now_ns() < end;) arch::Cpu::relax();
      },
      nullptr);
  sched::set_stall_limit(limit);
  return {};
}

void Planter::restore(const ai::Lease& model) {
  service::EngineHost& host = service::engine_host();
  if (std::exchange(flipped_, false) && host.flip_weight_bit(model).has_value()) {
    // The cache holds keys and values that were computed with the wrong bit, so it is emptied. If
    // there is no turn for that, they stay; emptying itself cannot fail.
    Result<void> forgotten =
        host.between_steps(model, nullptr, [](service::Turn& turn) -> Result<void> {
          turn.engine().forget_prompts();
          return {};
        });
    ASSERT(forgotten.has_value());
  }
  for (std::span<Byte> pages : leaked_) mm::free_pages(pages);
  leaked_.clear();
}

}  // namespace console
