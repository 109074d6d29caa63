// SPDX-License-Identifier: GPL-2.0-or-later
// One answer from the engine, streamed to the person and measured.
#pragma once

#include "ai/engine/engine.h"
#include "console/engine_service.h"
#include "console/io.h"

namespace console {

struct Answer {
  String text;
  Vector<ai::TokenId> tokens;
  i64 logprob_sum_micro = 0;  // when asked for
  ai::FinishReason reason = ai::FinishReason::kError;
  ai::Timings timings;
  Error error{Errc::kIo, ""};  // for kError and kContextFull
  u64 logits_hash = 0;         // over all tokens, when asked for
};

enum class Show : u8 { kNothing, kText };

// Submits, steps until the end, shows text as it comes and the reading of a long prompt; Ctrl-C
// cancels at the next token. A Result error: the request was refused; else see Answer::reason.
Result<Answer> generate(const ai::Request& request, Io& io, Show show);

// What a terminal may get of a model's text: no control characters but line ends and tabs.
void write_clean(base::Writer& out, std::string_view text);

// One line on how an answer ended, when that is worth a line ("" for a normal end).
const char* describe_end(ai::FinishReason reason);

}  // namespace console
