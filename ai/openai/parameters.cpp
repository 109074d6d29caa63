// SPDX-License-Identifier: GPL-2.0-or-later
// The table of parameters: name, range, destination. Numbers are parsed as decimals and stored in
// thousandths.
#include "ai/openai/parameters.h"

namespace ai::openai {
namespace {

// A decimal number that is stored in thousandths.
struct MilliRow {
  std::string_view name;
  i32 SamplerParams::* field;
  i32 least, most;  // thousandths
};
constexpr MilliRow kMilliRows[] = {
    {"temperature", &SamplerParams::temperature_milli, 0, 100'000},
    {"temp", &SamplerParams::temperature_milli, 0, 100'000},
    {"top_p", &SamplerParams::top_p_milli, 0, 1000},
    {"min_p", &SamplerParams::min_p_milli, 0, 1000},
    {"typical_p", &SamplerParams::typical_milli, 0, 1000},
    {"typ_p", &SamplerParams::typical_milli, 0, 1000},
    {"repetition_penalty", &SamplerParams::repeat_penalty_milli, 1, 10'000},
    {"repeat_penalty", &SamplerParams::repeat_penalty_milli, 1, 10'000},
    {"presence_penalty", &SamplerParams::presence_penalty_milli, -2000, 2000},
    {"frequency_penalty", &SamplerParams::frequency_penalty_milli, -2000, 2000},
    {"dry_multiplier", &SamplerParams::dry_multiplier_milli, 0, 100'000},
    {"dry_base", &SamplerParams::dry_base_milli, 1000, 10'000},
    {"xtc_probability", &SamplerParams::xtc_probability_milli, 0, 1000},
    {"xtc_threshold", &SamplerParams::xtc_threshold_milli, 0, 1000},
    {"mirostat_tau", &SamplerParams::mirostat_tau_milli, 0, 100'000},
    {"mirostat_eta", &SamplerParams::mirostat_eta_milli, 0, 10'000},
};

constexpr i64 kWholeContext = 1'000'000;  // what llama-server writes as -1

struct CountRow {
  std::string_view name;
  u32 SamplerParams::* field;
  i64 least, most;
};
constexpr CountRow kCountRows[] = {
    {"repeat_last_n", &SamplerParams::penalty_last_n, -1, kWholeContext},
    {"dry_allowed_length", &SamplerParams::dry_allowed_length, 0, 1'000'000},
    {"mirostat", &SamplerParams::mirostat, 0, 2},
};

struct FlagRow {
  std::string_view name;
  bool Parameters::* field;
};
constexpr FlagRow kFlagRows[] = {
    {"stream", &Parameters::stream},
    {"ignore_eos", &Parameters::ignore_end},
    {"cache_prompt", &Parameters::cache_prompt},
    {"timings_per_token", &Parameters::timings_per_token},
    {"return_progress", &Parameters::return_progress},
    {"return_tokens", &Parameters::return_tokens},
    {"receipt", &Parameters::receipt},
};

constexpr i64 kMaxTokens = 100'000'000;

Result<void> milli_value(json::Value value, const MilliRow& row, Parameters& out, ApiError& error) {
  if (!value.is_number()) return error.bad(row.name, "'{}' must be a number", row.name);
  i64 milli = value.scaled(3).value_or(i64{1} << 40);
  if (milli < row.least || milli > row.most)
    return error.bad(row.name, "'{}' must be between {} and {}", row.name,
                     base::Decimal{row.least, 3}, base::Decimal{row.most, 3});
  out.sampling.*row.field = static_cast<i32>(milli);
  return {};
}

Result<void> read_stop(json::Value body, Parameters& out, ApiError& error) {
  json::Value stop = body.find("stop");
  if (stop.is_null()) return {};
  auto add = [&](json::Value one) -> Result<void> {
    if (!one.is_string() || one.text().size() > kMaxStopBytes)
      return error.bad("stop", "'stop' must be a string or a list of strings of at most {} bytes",
                       kMaxStopBytes);
    if (one.text().empty()) return {};
    if (out.stop.size() == kMaxStops)
      return error.bad("stop", "'stop' may have at most {} strings", kMaxStops);
    return out.stop.push_back(one.text());
  };
  if (!stop.is_array()) return add(stop);
  for (json::Value one : stop.elements()) TRY(add(one));
  return {};
}

Result<TokenId> token_id(std::string_view text, u32 vocabulary) {
  u64 id = 0;
  for (char c : text) {
    if (c < '0' || c > '9' || id > vocabulary) return fail(Errc::kInvalidArgument, "not a token");
    id = id * 10 + static_cast<u64>(c - '0');
  }
  if (text.empty() || id >= vocabulary) return fail(Errc::kInvalidArgument, "not a token");
  return static_cast<TokenId>(id);
}

Result<void> add_bias(TokenId id, json::Value value, Parameters& out, ApiError& error) {
  i64 milli =
      value.kind() == json::Kind::kFalse ? -1'000'000 : value.scaled(3).value_or(i64{1} << 40);
  if (milli < -1'000'000 || milli > 1'000'000)
    return error.bad("logit_bias", "a bias in 'logit_bias' must be between -1000 and 1000");
  if (out.bias.size() == kMaxBias)
    return error.bad("logit_bias", "'logit_bias' may have at most {} tokens", kMaxBias);
  return out.bias.push_back({id, static_cast<i32>(milli)});
}

// OpenAI has {"50256": -100}. llama-server has [[50256, -100], [15, false], ["a text", -1]]; the
// last form applies to each token of the text.
Result<void> read_bias(json::Value body, const Tokenizer& tokenizer, Parameters& out,
                       ApiError& error) {
  json::Value list = body.find("logit_bias");
  if (list.is_null()) return {};
  u32 vocabulary = tokenizer.size();
  auto add = [&](std::string_view id_text, json::Value value) -> Result<void> {
    Result<TokenId> id = token_id(id_text, vocabulary);
    if (id.has_value()) return add_bias(*id, value, out, error);
    return error.bad("logit_bias", "'{}' in 'logit_bias' is not a token id below {}", id_text,
                     vocabulary);
  };
  for (json::Member m : list.members()) TRY(add(m.name, m.value));
  for (json::Value pair : list.elements()) {
    if (!pair.at(0).is_string()) {
      TRY(add(pair.at(0).text(), pair.at(1)));
      continue;
    }
    Vector<TokenId> tokens;
    TRY(tokenizer.encode(pair.at(0).text(), AddSpecial::kNo, ParseSpecial::kYes, tokens));
    for (TokenId id : tokens) TRY(add_bias(id, pair.at(1), out, error));
  }
  if (!list.is_object() && !list.is_array())
    return error.bad("logit_bias", "'logit_bias' must be an object of token ids and numbers");
  return {};
}

// Chat has logprobs: true with top_logprobs: k. Completions have logprobs: k. llama-server has
// n_probs: k.
Result<void> read_logprobs(json::Value body, Parameters& out, ApiError& error) {
  json::Value logprobs = body.find("logprobs");
  if (logprobs.is_number()) {
    out.logprobs = static_cast<u32>(TRY(int_field(body, "logprobs", 0, kMaxTopLogprobs, 0, error)));
    out.want_logprobs = true;
  } else if (!logprobs.is_null() && !logprobs.is_bool()) {
    return error.bad("logprobs", "'logprobs' must be true, false or a number");
  }
  if (logprobs.is_true()) out.want_logprobs = true;
  for (std::string_view name : {"top_logprobs", "n_probs"}) {
    if (body.find(name).is_null()) continue;
    out.logprobs = static_cast<u32>(TRY(int_field(body, name, 0, kMaxTopLogprobs, 0, error)));
    if (name == "n_probs") out.want_logprobs = out.logprobs > 0;
    if (name == "top_logprobs" && !logprobs.is_true() && out.logprobs > 0)
      return error.bad("top_logprobs", "'top_logprobs' needs 'logprobs': true");
  }
  return {};
}

Result<void> read_format(json::Value body, Parameters& out, ApiError& error) {
  json::Value format = body.find("response_format");
  std::string_view type = format.find("type").text();
  if (!format.is_null() && type != "text" && type != "json_object" && type != "json_schema")
    return error.bad("response_format",
                     "'response_format.type' must be text, json_object or json_schema");
  if (type == "json_object") out.json_object = true;
  if (type == "json_schema") {
    out.schema = format.find("json_schema").find("schema");
    if (!out.schema.present()) out.schema = format.find("schema");
    for (json::Value where : {format, format.find("json_schema")})
      out.loose_schema |= where.find("strict").kind() == json::Kind::kFalse;
    if (!out.schema.is_object())
      return error.bad("response_format", "'response_format.json_schema.schema' is missing");
  }
  // llama-server also accepts {"type": "json_object", "schema": …} and a schema at the top level.
  if (type == "json_object" && format.find("schema").is_object())
    out.schema = format.find("schema");
  if (body.find("json_schema").is_object()) out.schema = body.find("json_schema");
  if (!body.find("grammar").is_null()) out.grammar = TRY(text_field(body, "grammar", error));
  return {};
}

Result<void> read_lengths(json::Value body, Parameters& out, ApiError& error) {
  for (std::string_view name :
       {"n_predict", "max_tokens", "max_output_tokens", "max_completion_tokens"}) {
    if (body.find(name).is_null()) continue;
    i64 least = name == "n_predict" ? -2 : out.may_say_nothing ? 0 : 1;
    i64 n = TRY(int_field(body, name, least, kMaxTokens, 0, error));
    if (n == 0 && !out.may_say_nothing) return error.bad(name, "'{}' must be at least 1", name);
    out.max_tokens = n < 0 ? 0 : static_cast<u32>(n);
    out.says_nothing = n == 0;
  }
  out.n = static_cast<u32>(TRY(int_field(body, "n", 1, kMaxChoices, 1, error)));
  if (!body.find("top_k").is_null()) {
    i64 k = TRY(int_field(body, "top_k", -1, 1'000'000, 0, error));
    out.sampling.top_k = k < 0 ? 0 : static_cast<u32>(k);
  }
  json::Value seed = body.find("seed");
  if (!seed.is_null()) {
    // Clients send any 64-bit number. Only its bits matter.
    Result<i64> value = seed.integer();
    if (!value.has_value()) return error.bad("seed", "'seed' must be a whole number below 2^62");
    out.seed_given = *value != -1;  // llama-server: -1 means any seed
    out.sampling.seed = static_cast<u64>(*value);
  }
  return {};
}

}  // namespace

Result<std::string_view> text_field(json::Value body, std::string_view name, ApiError& error) {
  json::Value value = body.find(name);
  if (value.is_null()) return std::string_view();
  if (!value.is_string()) return error.bad(name, "'{}' must be a string", name);
  return value.text();
}

Result<bool> bool_field(json::Value body, std::string_view name, bool absent, ApiError& error) {
  json::Value value = body.find(name);
  if (value.is_null()) return absent;
  if (!value.is_bool()) return error.bad(name, "'{}' must be true or false", name);
  return value.is_true();
}

Result<i64> int_field(json::Value body, std::string_view name, i64 least, i64 most, i64 absent,
                      ApiError& error) {
  json::Value value = body.find(name);
  if (value.is_null()) return absent;
  Result<i64> number = value.integer();
  if (!number.has_value() || *number < least || *number > most)
    return error.bad(name, "'{}' must be a whole number between {} and {}", name, least, most);
  return *number;
}

Parameters default_parameters() {
  Parameters p;
  p.sampling.temperature_milli = 800;
  return p;
}

Result<void> read_parameters(json::Value body, const Tokenizer& tokenizer, Parameters& out,
                             ApiError& error) {
  for (const MilliRow& row : kMilliRows)
    if (json::Value value = body.find(row.name); !value.is_null())
      TRY(milli_value(value, row, out, error));
  for (const CountRow& row : kCountRows) {
    i64 n = TRY(int_field(body, row.name, row.least, row.most, out.sampling.*row.field, error));
    out.sampling.*row.field = static_cast<u32>(n < 0 ? kWholeContext : n);
  }
  if (out.sampling.mirostat == 1)
    return error.bad("mirostat", "'mirostat' must be 0 or 2: version 1 is not supported");
  for (const FlagRow& row : kFlagRows)
    out.*row.field = TRY(bool_field(body, row.name, out.*row.field, error));
  json::Value options = body.find("stream_options");
  if (!options.is_null()) {
    if (!options.is_object())
      return error.bad("stream_options", "'stream_options' must be an object");
    out.include_usage = TRY(bool_field(options, "include_usage", false, error));
  }
  std::string_view truncation = TRY(text_field(body, "truncation", error));
  if (!truncation.empty() && truncation != "auto" && truncation != "disabled")
    return error.bad("truncation", "'truncation' must be auto or disabled");
  out.slide = truncation == "auto";
  TRY(read_lengths(body, out, error));
  TRY(read_stop(body, out, error));
  TRY(read_bias(body, tokenizer, out, error));
  TRY(read_logprobs(body, out, error));
  TRY(read_format(body, out, error));
  if (!out.grammar.empty() && (out.schema.present() || out.json_object))
    return error.bad("grammar", "'grammar' and a JSON format exclude each other");
  Result<void> checked = check_sampler_params(out.sampling);
  if (!checked.has_value()) return error.bad({}, "{}", checked.error().what);
  return {};
}

Result<void> read_query_parameter(std::string_view name, std::string_view value, Parameters& out,
                                  ApiError& error) {
  // People write ".7", which is not JSON.
  char text[40];
  std::string_view number =
      base::format_into(text, "{}{}", value.starts_with('.') ? "0" : "", value);
  Result<json::Document> document = json::Document::parse(number);
  if (!document.has_value() || !document->root().is_number())
    return error.bad(name, "'{}' must be a number", name);
  json::Value root = document->root();
  for (const MilliRow& row : kMilliRows)
    if (row.name == name) return milli_value(root, row, out, error);
  i64 whole = root.integer().value_or(-1);
  if (whole < 0) return error.bad(name, "'{}' must be a whole number", name);
  if (name == "seed") {
    out.sampling.seed = static_cast<u64>(whole);
    out.seed_given = true;
  } else if (name == "top_k") {
    out.sampling.top_k = static_cast<u32>(std::min<i64>(whole, 1'000'000));
  } else if (name == "n") {
    if (whole < 1 || whole > kMaxTokens) return error.bad(name, "'n' must be at least 1");
    out.max_tokens = static_cast<u32>(whole);
  } else {
    return error.bad(name, "unknown query parameter '{}'", name);
  }
  return {};
}

}  // namespace ai::openai
