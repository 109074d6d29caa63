// SPDX-License-Identifier: GPL-2.0-or-later
// Gets one answer from the engine, streams it to the person and measures it.
#pragma once

#include "console/shell/model_use.h"

namespace console {

struct Answer {
  String text;
  Vector<ai::TokenId> tokens;
  i64 logprob_sum_micro = 0;  // if asked for
  ai::FinishReason reason = ai::FinishReason::kError;
  ai::Timings timings;
  Error error{Errc::kIo, ""};  // set for kError and kContextFull
  u64 logits_hash = 0;         // over all tokens, if asked for
};

enum class Show : u8 { kNothing, kText };

// Submits a request and sleeps until the answer is complete. Shows the text as it comes, and the
// progress of a long prompt. Ctrl-C cancels within some hundredths of a second. An error of the
// Result means that the request was refused; otherwise Answer::reason says how it ended. For the
// shell's thread only.
Result<Answer> generate(const ai::Lease& lease, const ai::Request& request, Io& io, Show show);

// Writes a model's text without control characters other than line ends and tabs, so that it cannot
// control the terminal.
void write_clean(base::Writer& out, std::string_view text);

// Returns one line about how an answer ended, or "" for a normal end.
const char* describe_end(ai::FinishReason reason);

}  // namespace console
