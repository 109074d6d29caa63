// SPDX-License-Identifier: GPL-2.0-or-later
// Shows in /health which kernel of an installed disk runs, and what became of the last update.
#include "ai/openai/health_field.h"
#include "service/update/slots.h"

namespace service::update {
namespace {

void write(json::Writer& out) {
  const Report& last = last_report();
  if (!last.known) return;
  out.key("update").begin_object().field("slot", slot_name(last.running));
  out.field("version", running_version()).field("state", state_name(last.state));
  if (last.state != State::kNone && last.block.attempt.has_value())
    out.field("tried", slot_name(*last.block.attempt));
  char room[256];
  if (last.state == State::kFailed)
    out.field("cause", cause_of(last)).field("reason", failure_of(last, room));
  out.end_object();
}

constexpr ai::openai::HealthField kField{write};
HEALTH_FIELD(kField);

}  // namespace
}  // namespace service::update
