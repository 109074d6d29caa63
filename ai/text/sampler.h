// SPDX-License-Identifier: GPL-2.0-or-later
// From logits to one token. Integers outside (console code has no float), floats inside.
//
// Order (llama.cpp's): logit bias, penalties, DRY, top-k, typical, top-p, min-p, XTC, temperature,
// draw. Ties go to the lowest id. The same seed and logits give the same token on every machine.
#pragma once

#include "ai/tokenizer/tokenizer.h"

namespace ai {

constexpr i32 kMilli = 1000;  // parameters are thousandths: 0.7 is 700

struct LogitBias {
  TokenId token;
  i32 bias_milli;
};

struct SamplerParams {
  i32 temperature_milli = 0;        // 0 = greedy: the highest logit, whatever the rest says
  u32 top_k = 40;                   // 0 = all
  i32 top_p_milli = 950;            // 1000 = off
  i32 min_p_milli = 50;             // 0 = off
  i32 typical_milli = 1000;         // 1000 = off
  i32 repeat_penalty_milli = 1000;  // 1000 = off
  i32 presence_penalty_milli = 0;
  i32 frequency_penalty_milli = 0;
  u32 penalty_last_n = 64;
  i32 dry_multiplier_milli = 0;  // 0 = off
  i32 dry_base_milli = 1750;
  u32 dry_allowed_length = 2;
  i32 xtc_probability_milli = 0;  // 0 = off
  i32 xtc_threshold_milli = 100;
  u32 mirostat = 0;  // 0 or 2
  i32 mirostat_tau_milli = 5000;
  i32 mirostat_eta_milli = 100;
  u64 seed = 0;
};

}  // namespace ai
