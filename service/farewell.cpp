// SPDX-License-Identifier: GPL-2.0-or-later
// Lets running answers finish, and ended texts reach their disk (kv.disk=), before the machine is
// turned off. Called on the thread that shuts down; it sleeps until that is done or the deadline
// passes.
#include "service/farewell.h"

#include "kernel/dev/power.h"
#include "kernel/time/clock.h"
#include "service/engine_host.h"

namespace service {
namespace {

// enough for some GiB on an SSD
constexpr u64 kKeepingNs = 20'000'000'000;

void finish_answers(u64 deadline_ns) {
  EngineHost& host = engine_host();
  auto busy = [&host] {
    EngineHost::Figures figures = host.figures();
    return figures.running + figures.queued > 0 || host.keeps_texts();
  };
  while (busy() && timing::now_ns() < deadline_ns) host.wait_news();
}

constexpr power::Farewell kAnswers{finish_answers};
POWER_FAREWELL(kAnswers);

}  // namespace

void finish_keeping() {
  EngineHost& host = engine_host();
  u64 deadline_ns = timing::now_ns() + kKeepingNs;
  while (host.keeps_texts() && timing::now_ns() < deadline_ns) host.wait_news();
}

}  // namespace service
