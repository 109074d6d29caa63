// SPDX-License-Identifier: GPL-2.0-or-later
// Before the machine goes off by its button: the answers under way.
#include "console/engine_service.h"
#include "kernel/dev/power.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"

namespace console {
namespace {

void finish_answers(u64 deadline_ns) {
  EngineService& service = engine_service();
  auto busy = [&service] {
    return service.loaded() && service.engine().running() + service.engine().queued() > 0;
  };
  constexpr u64 kStepOfOthersNs = 1'000'000;
  while (busy() && timing::now_ns() < deadline_ns)
    if (!service.step()) sched::sleep_ns(kStepOfOthersNs);
}

constexpr power::Farewell kAnswers{finish_answers};
POWER_FAREWELL(kAnswers);

}  // namespace
}  // namespace console
