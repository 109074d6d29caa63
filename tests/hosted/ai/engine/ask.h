// SPDX-License-Identifier: GPL-2.0-or-later
// Shared by the tests of the engine on its fake model: a prompt of a given length, and a request
// that runs to its end. The test's thread steps the engine; nothing here waits.
#pragma once

#include <vector>

#include "tests/hosted/fake_model.h"

// Returns `n` tokens of the fake vocabulary that begin with `first`.
inline std::vector<ai::TokenId> counted(u32 n, ai::TokenId first = 5) {
  std::vector<ai::TokenId> tokens;
  tokens.reserve(n);
  for (u32 i = 0; i < n; i++) tokens.push_back(first + i * 3 % 40);
  return tokens;
}

// Steps the engine until it has nothing to do.
inline void run(ai::EngineImpl& engine) {
  while (engine.step()) {
  }
}

// Serves one request to its end; a refused request leaves `sink` as it was.
inline void ask(ai::EngineImpl& engine, const ai::Request& request, FakeSink& sink) {
  if (engine.submit(request, sink).has_value()) run(engine);
}
