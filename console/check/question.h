// SPDX-License-Identifier: GPL-2.0-or-later
// A question whose answer shows that a model computes what it did before. For the shell's thread.
#pragma once

#include "console/chat/generation.h"

namespace console {

constexpr u32 kKnownTokens = 5;

struct KnownAnswer {
  Vector<ai::TokenId> tokens;  // kKnownTokens, the most probable ones
  u64 logits_hash = 0;
};
Result<KnownAnswer> answer_known_question(const ai::Lease& model, bool cache);

}  // namespace console
