// SPDX-License-Identifier: GPL-2.0-or-later
// Lets running answers finish before the power button turns the machine off. Called on the thread
// that shuts down; it sleeps until the answers are done or the deadline passes.
#include "kernel/dev/power.h"
#include "kernel/time/clock.h"
#include "service/engine_host.h"

namespace service {
namespace {

void finish_answers(u64 deadline_ns) {
  EngineHost& host = engine_host();
  auto busy = [&host] {
    EngineHost::Figures figures = host.figures();
    return figures.running + figures.queued > 0;
  };
  while (busy() && timing::now_ns() < deadline_ns) host.wait_news();
}

constexpr power::Farewell kAnswers{finish_answers};
POWER_FAREWELL(kAnswers);

}  // namespace
}  // namespace service
