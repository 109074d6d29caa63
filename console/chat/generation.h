// SPDX-License-Identifier: GPL-2.0-or-later
// One answer from the engine, streamed to the person and measured.
#pragma once

#include "console/shell/model_use.h"

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

// Asks the engine and sleeps until the answer is there; shows the text as it comes and the reading
// of a long prompt. Ctrl-C cancels within some hundredths of a second. A Result error: the request
// was refused; else see Answer::reason. The shell's thread only.
Result<Answer> generate(const ai::Lease& lease, const ai::Request& request, Io& io, Show show);

// What a terminal may get of a model's text: no control characters but line ends and tabs.
void write_clean(base::Writer& out, std::string_view text);

// One line on how an answer ended, when that is worth a line ("" for a normal end).
const char* describe_end(ai::FinishReason reason);

}  // namespace console
