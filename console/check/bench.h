// SPDX-License-Identifier: GPL-2.0-or-later
// Measures the engine: prefill, decode and batches of requests, on generated prompts.
#pragma once

#include "console/shell/model_use.h"

namespace console {

// The result of one run of the engine.
struct Measurement {
  // tokens of the prompt, tokens generated, requests at once
  u32 prompt = 0, generate = 0, batch = 1;
  u64 prefill_ns = 0;  // until the last request of the batch has read its prompt
  u64 decode_ns = 0;   // from the first token to the last, over the batch
  u64 decoded = 0;     // tokens in that time
  u64 gap_p50_ns = 0, gap_p99_ns = 0, gap_max_ns = 0;  // of one request
};

// Lets `batch` requests at once read `prompt` tokens and then generate `generate` tokens each. The
// prefix cache is not used, and end tokens are ignored. Returns kCancelled on Ctrl-C.
Result<Measurement> measure(const ai::Lease& model, Io& io, u32 prompt, u32 generate, u32 batch);

// Returns ordinary, varied tokens: the same in every run, different for each `salt`.
Result<Vector<ai::TokenId>> make_prompt(const ai::Tokenizer& tokenizer, u32 tokens, u32 salt);

}  // namespace console
