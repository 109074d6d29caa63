// SPDX-License-Identifier: GPL-2.0-or-later
// Fields of /health that the engine and this service know nothing of. Each is a row, which a part
// of the machine registers.
#pragma once

#include "kernel/base/json.h"
#include "kernel/base/registry.h"

namespace ai::openai {

struct HealthField {
  // Writes a key and its value, or nothing. Called on the server's threads; must not wait.
  void (*write)(json::Writer& out);
};

}  // namespace ai::openai

REGISTRY(health_fields, ai::openai::HealthField)
#define HEALTH_FIELD(row) REGISTER_ROW(health_fields, row)
