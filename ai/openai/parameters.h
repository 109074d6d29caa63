// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the generation parameters of every API from JSON, checks their ranges, and stores them in
// one Parameters.
#pragma once

#include "ai/openai/api.h"
#include "ai/openai/error.h"
#include "ai/text/grammar.h"

namespace ai::openai {

constexpr u32 kMaxChoices = 16;
constexpr u32 kMaxStops = 16;
constexpr u32 kMaxStopBytes = 256;
constexpr u32 kMaxTopLogprobs = 20;
constexpr u32 kMaxBias = 1024;
constexpr u32 kMaxBiasBytes = 256;  // of a text that stands for its tokens
constexpr u32 kMaxBreakers = 16;
constexpr u32 kMaxBreakerBytes = 64;
constexpr i64 kWholeContext = 1'000'000;  // tokens: what llama-server writes as -1

struct Parameters {
  SamplerParams sampling;
  bool seed_given = false;
  u32 max_tokens = 0;     // 0 = until the context is full
  u32 context = ~u32{0};  // most tokens of prompt and answer, where that is less than it could be
  bool split_thought = false;  // an answer's <think>…</think> is no part of what it says
  u32 n = 1;
  u32 best_of = 0;                // choices that are generated for a prompt and compared; 0 = n
  Vector<std::string_view> stop;  // points into the request's document
  Vector<LogitBias> bias;
  u32 logprobs = 0;  // alternatives reported with each token
  bool want_logprobs = false;
  bool stream = false, include_usage = false, timings_per_token = false, return_progress = false;
  bool ignore_end = false, cache_prompt = true, return_tokens = false;
  bool cuts_prompt = false;     // a prompt that is too long loses its oldest tokens
  bool slide = false;           // at a full context, the oldest tokens make room for the answer's
  bool stays = false;           // whatever the server's option says, nothing is dropped
  bool receipt = false;         // the answer shall carry one
  bool after_sampling = false;  // report what the filters left, not what the model gave
  Vector<std::string_view> dry_breakers;  // as `stop`; empty = the engine's own
  bool may_say_nothing = false;  // set by APIs that allow 0 tokens: the prompt is only read
  bool says_nothing = false;
  json::Value schema;         // the answer's schema; present for json_schema
  bool loose_schema = false;  // "strict": false: a schema that cannot be enforced is no error
  bool json_object = false;   // any JSON object
  std::string_view grammar;   // GBNF
};

// Reads what the server gives requests that say nothing: "temperature=0.7,top_k=20", by the names
// that requests use. What it does not name stays as it is in `out`.
Result<void> read_defaults(std::string_view text, SamplerParams& out, ApiError& error);

// Reads all fields that generation shares. Fields of only one API are read by its own code.
Result<void> read_parameters(json::Value body, const Tokenizer& tokenizer, Parameters& out,
                             ApiError& error);

// Writes the settings by llama-server's names, as fields of an object.
void write_sampling(const SamplerParams& params, json::Writer& w);
// Writes the field "logit_bias" as llama-server does: null stands for never.
void write_bias(std::span<const LogitBias> bias, json::Writer& w);

// Reads "0.7" of a query string with the same table, by the short names (temp, n).
Result<void> read_query_parameter(std::string_view name, std::string_view value, Parameters& out,
                                  ApiError& error);

// Read a field of a known type. The error names the field.
Result<std::string_view> text_field(json::Value body, std::string_view name, ApiError& error);
Result<bool> bool_field(json::Value body, std::string_view name, bool absent, ApiError& error);
Result<i64> int_field(json::Value body, std::string_view name, i64 least, i64 most, i64 absent,
                      ApiError& error);

// Reads how long a model stays when nobody asks for it: a number of seconds, or Go's form ("1h30m",
// "500ms"). Returns nanoseconds, or kForever for a negative time.
Result<u64> read_keep_alive(std::string_view text);
Result<u64> keep_alive_field(json::Value body, u64 absent, ApiError& error);

}  // namespace ai::openai
