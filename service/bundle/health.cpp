// SPDX-License-Identifier: GPL-2.0-or-later
// Shows in /health which trust.toml is in force.
#include "ai/openai/health_field.h"
#include "service/bundle/roots.h"

namespace service::bundle {
namespace {

void write(json::Writer& out) {
  Trust trust = trust_now();
  if (trust.file == nullptr && trust.lost_version == 0) return;
  out.key("trust").begin_object();
  out.field("version", trust.file == nullptr ? u64{0} : trust.file->version);
  if (trust.file != nullptr) out.field("threshold", trust.file->threshold);
  if (trust.lost_version > 0) out.field("lost_version", trust.lost_version);
  out.end_object();
}

constexpr ai::openai::HealthField kField{write};
HEALTH_FIELD(kField);

}  // namespace
}  // namespace service::bundle
