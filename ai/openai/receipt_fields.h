// SPDX-License-Identifier: GPL-2.0-or-later
// The names that the writer and the reader of receipts share.
#pragma once

#include "ai/openai/receipt.h"

namespace ai::openai {

struct MilliField {
  std::string_view name;
  i32 SamplerParams::* member;
};
constexpr MilliField kMilliFields[] = {
    {"temperature_milli", &SamplerParams::temperature_milli},
    {"top_p_milli", &SamplerParams::top_p_milli},
    {"min_p_milli", &SamplerParams::min_p_milli},
    {"typical_milli", &SamplerParams::typical_milli},
    {"repeat_penalty_milli", &SamplerParams::repeat_penalty_milli},
    {"presence_penalty_milli", &SamplerParams::presence_penalty_milli},
    {"frequency_penalty_milli", &SamplerParams::frequency_penalty_milli},
    {"dry_multiplier_milli", &SamplerParams::dry_multiplier_milli},
    {"dry_base_milli", &SamplerParams::dry_base_milli},
    {"xtc_probability_milli", &SamplerParams::xtc_probability_milli},
    {"xtc_threshold_milli", &SamplerParams::xtc_threshold_milli},
    {"mirostat_tau_milli", &SamplerParams::mirostat_tau_milli},
    {"mirostat_eta_milli", &SamplerParams::mirostat_eta_milli},
};

struct CountField {
  std::string_view name;
  u32 SamplerParams::* member;
};
constexpr CountField kCountFields[] = {
    {"top_k", &SamplerParams::top_k},
    {"penalty_last_n", &SamplerParams::penalty_last_n},
    {"dry_allowed_length", &SamplerParams::dry_allowed_length},
    {"dry_last_n", &SamplerParams::dry_last_n},
    {"mirostat", &SamplerParams::mirostat},
};

// The words for enumerators, in their order.
constexpr std::string_view kGrammarWords[] = {"none", "gbnf", "schema", "loose_schema"};
constexpr std::string_view kFinishWords[] = {"stop", "length", "context"};
constexpr std::string_view kStepWords[] = {"top_k", "typ_p", "top_p",
                                           "min_p", "xtc",   "temperature"};
static_assert(std::size(kStepWords) == kSamplerSteps);

}  // namespace ai::openai
