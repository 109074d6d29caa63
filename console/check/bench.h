// SPDX-License-Identifier: GPL-2.0-or-later
// Measuring the engine: prefill, decode and batches of requests, on prompts of its own.
#pragma once

#include "console/shell/model_use.h"

namespace console {

// What one run of the engine took.
struct Measurement {
  u32 prompt = 0, generate = 0, batch = 1;  // tokens, tokens, requests at once
  u64 prefill_ns = 0;                       // until the last of the batch has read its prompt
  u64 decode_ns = 0;                        // first token to last, over the batch
  u64 decoded = 0;                          // tokens in that time
  u64 gap_p50_ns = 0, gap_p99_ns = 0, gap_max_ns = 0;  // of one request
};

// `depth` tokens of prompt, then `generate` tokens each by `batch` requests at once. Nothing comes
// from the prompt cache; end tokens do not end it. kCancelled on Ctrl-C.
Result<Measurement> measure(const ai::Lease& model, Io& io, u32 prompt, u32 generate, u32 batch);

// Varied, plain tokens: the same for every run, different for each `salt`.
Result<Vector<ai::TokenId>> make_prompt(const ai::Tokenizer& tokenizer, u32 tokens, u32 salt);

}  // namespace console
