// SPDX-License-Identifier: GPL-2.0-or-later
// The table of parameters: name, range, destination. Numbers are parsed as decimals and stored in
// thousandths.
#include "ai/openai/parameters.h"

#include <algorithm>

namespace ai::openai {
namespace {

// A decimal number that is stored in thousandths. Of two names for one the first is written.
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
    {"repeat_penalty", &SamplerParams::repeat_penalty_milli, 1, 10'000},
    {"repetition_penalty", &SamplerParams::repeat_penalty_milli, 1, 10'000},
    {"presence_penalty", &SamplerParams::presence_penalty_milli, -2000, 2000},
    {"frequency_penalty", &SamplerParams::frequency_penalty_milli, -2000, 2000},
    {"dry_multiplier", &SamplerParams::dry_multiplier_milli, 0, 100'000},
    {"dry_base", &SamplerParams::dry_base_milli, 1000, 10'000},
    {"xtc_probability", &SamplerParams::xtc_probability_milli, 0, 1000},
    {"xtc_threshold", &SamplerParams::xtc_threshold_milli, 0, 1000},
    {"mirostat_tau", &SamplerParams::mirostat_tau_milli, 0, 100'000},
    {"mirostat_eta", &SamplerParams::mirostat_eta_milli, 0, 10'000},
};

struct CountRow {
  std::string_view name;
  u32 SamplerParams::* field;
  i64 least, most;
};
constexpr CountRow kCountRows[] = {
    {"repeat_last_n", &SamplerParams::penalty_last_n, -1, kWholeContext},
    {"dry_allowed_length", &SamplerParams::dry_allowed_length, 0, 1'000'000},
    {"dry_penalty_last_n", &SamplerParams::dry_last_n, -1, kWholeContext},
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

// The samplers by llama.cpp's names and letters.
struct SamplerRow {
  enum class Kind : u8 { kPenalties, kDry, kStep, kOff };
  std::string_view name;
  char letter;
  Kind kind;
  SamplerStep step = SamplerStep::kTopK;
};
using SamplerKind = SamplerRow::Kind;
constexpr SamplerRow kSamplers[] = {
    {"penalties", 'e', SamplerKind::kPenalties},
    {"dry", 'd', SamplerKind::kDry},
    {"top_n_sigma", 's', SamplerKind::kOff},  // always, so its place does not matter
    {"top_k", 'k', SamplerKind::kStep, SamplerStep::kTopK},
    {"typ_p", 'y', SamplerKind::kStep, SamplerStep::kTypical},
    {"typical_p", 'y', SamplerKind::kStep, SamplerStep::kTypical},
    {"top_p", 'p', SamplerKind::kStep, SamplerStep::kTopP},
    {"min_p", 'm', SamplerKind::kStep, SamplerStep::kMinP},
    {"xtc", 'x', SamplerKind::kStep, SamplerStep::kXtc},
    {"temperature", 't', SamplerKind::kStep, SamplerStep::kTemperature},
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

Result<void> count_value(json::Value value, const CountRow& row, Parameters& out, ApiError& error) {
  Result<i64> number = value.integer();
  if (!number.has_value() || *number < row.least || *number > row.most)
    return error.bad(row.name, "'{}' must be a whole number between {} and {}", row.name, row.least,
                     row.most);
  out.sampling.*row.field = static_cast<u32>(*number < 0 ? kWholeContext : *number);
  return {};
}

Result<void> top_k_value(json::Value value, Parameters& out, ApiError& error) {
  Result<i64> k = value.integer();
  if (!k.has_value() || *k < -1 || *k > 1'000'000)
    return error.bad("top_k", "'top_k' must be a whole number between -1 and 1000000");
  out.sampling.top_k = *k < 0 ? 0 : static_cast<u32>(*k);
  return {};
}

// Reads a number of the samplers. Returns false if the name is none of theirs.
Result<bool> sampler_value(std::string_view name, json::Value value, Parameters& out,
                           ApiError& error) {
  for (const MilliRow& row : kMilliRows)
    if (row.name == name) {
      TRY(milli_value(value, row, out, error));
      return true;
    }
  for (const CountRow& row : kCountRows)
    if (row.name == name) {
      TRY(count_value(value, row, out, error));
      return true;
    }
  if (name != "top_k") return false;
  TRY(top_k_value(value, out, error));
  return true;
}

Result<void> check_sampling(const SamplerParams& sampling, ApiError& error) {
  if (sampling.mirostat == 1)
    return error.bad("mirostat", "'mirostat' must be 0 or 2: version 1 is not supported");
  Result<void> checked = check_sampler_params(sampling);
  if (!checked.has_value()) return error.bad({}, "{}", checked.error().what);
  return {};
}

// Reads the number of "NAME=NUMBER". People write ".7", which is not JSON. The document refers to
// `room`.
using NumberRoom = char[40];
Result<json::Document> written_number(std::string_view name, std::string_view value,
                                      NumberRoom& room, ApiError& error) {
  std::string_view number =
      base::format_into(room, "{}{}", value.starts_with('.') ? "0" : "", value);
  Result<json::Document> document = json::Document::parse(number);
  if (!document.has_value() || !document->root().is_number())
    return error.bad(name, "'{}' must be a number", name);
  return document;
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
  bool never = value.kind() == json::Kind::kFalse;
  i64 milli = never ? LogitBias::kNever : value.scaled(3).value_or(i64{1} << 40);
  if (!never && (milli < -1'000'000 || milli > 1'000'000))
    return error.bad("logit_bias",
                     "a bias in 'logit_bias' must be between -1000 and 1000, or false for never");
  if (out.bias.size() == kMaxBias)
    return error.bad("logit_bias", "'logit_bias' may have at most {} tokens", kMaxBias);
  return out.bias.push_back({id, static_cast<i32>(milli)});
}

bool is_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// Adds a bias for an id in digits. A text applies to each of its tokens.
Result<void> add_bias(std::string_view what, bool is_text, json::Value value,
                      const Tokenizer& tokenizer, Parameters& out, ApiError& error) {
  if (!is_text) {
    Result<TokenId> id = token_id(what, tokenizer.size());
    if (id.has_value()) return add_bias(*id, value, out, error);
    return error.bad("logit_bias", "'{}' in 'logit_bias' is not a token id below {}",
                     what.substr(0, 60), tokenizer.size());
  }
  if (what.empty() || what.size() > kMaxBiasBytes)
    return error.bad("logit_bias", "a text in 'logit_bias' must have 1 to {} bytes", kMaxBiasBytes);
  Vector<TokenId> tokens;
  TRY(tokenizer.encode(what, AddSpecial::kNo, ParseSpecial::kYes, tokens));
  for (TokenId id : tokens) TRY(add_bias(id, value, out, error));
  return {};
}

// OpenAI has {"50256": -100}. llama-server also has {"a text": -1}, and pairs: [[50256, -100], [15,
// false], ["a text", -1]].
Result<void> read_bias(json::Value body, const Tokenizer& tokenizer, Parameters& out,
                       ApiError& error) {
  json::Value list = body.find("logit_bias");
  if (list.is_null()) return {};
  if (!list.is_object() && !list.is_array())
    return error.bad("logit_bias",
                     "'logit_bias' must be an object of token ids or texts with numbers, or a list "
                     "of pairs of these");
  for (json::Member m : list.members())
    TRY(add_bias(m.name, !is_digits(m.name), m.value, tokenizer, out, error));
  for (json::Value pair : list.elements()) {
    if (pair.size() != 2)
      return error.bad("logit_bias", "each pair of 'logit_bias' must have two values");
    TRY(add_bias(pair.at(0).text(), pair.at(0).is_string(), pair.at(1), tokenizer, out, error));
  }
  return {};
}

// A request that ignores the end of answers wants none: the tokens that end them are never picked.
Result<void> exclude_ends(const Tokenizer& tokenizer, Parameters& out) {
  for (TokenId id = 0; out.ignore_end && id < tokenizer.size(); id++)
    if (tokenizer.is_end(id)) TRY(out.bias.push_back({id, LogitBias::kNever}));
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
  if (json::Value k = body.find("top_k"); !k.is_null()) TRY(top_k_value(k, out, error));
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

// The samplers that a request has named so far.
struct NamedSamplers {
  bool penalties = false, dry = false;
  SamplerOrder order;
  bool has(SamplerStep step) const {
    auto named = std::span(order.steps).first(order.count);
    return std::ranges::find(named, step) != named.end();
  }
};

// Penalties and DRY look at all tokens, so they come before what leaves tokens out.
Result<void> add_sampler(const SamplerRow* row, std::string_view name, NamedSamplers& named,
                         ApiError& error) {
  if (row == nullptr)
    return error.bad("samplers",
                     "'samplers' has '{}', which is not among penalties, dry, top_k, typ_p, top_p, "
                     "min_p, xtc and temperature",
                     name.substr(0, 60));
  if (row->kind == SamplerKind::kOff) return {};
  bool early = row->kind != SamplerKind::kStep;
  bool late = named.order.count > 0 || (row->kind == SamplerKind::kPenalties && named.dry);
  if (early && late)
    return error.bad("samplers", "in 'samplers', '{}' cannot stand behind {}", row->name,
                     named.order.count > 0 ? "a sampler that leaves tokens out" : "'dry'");
  if (early) {
    (row->kind == SamplerKind::kDry ? named.dry : named.penalties) = true;
    return {};
  }
  if (named.has(row->step)) return error.bad("samplers", "'samplers' names '{}' twice", row->name);
  named.order.steps[named.order.count++] = row->step;
  return {};
}

void turn_off(SamplerStep step, SamplerParams& p) {
  switch (step) {
    case SamplerStep::kTopK:
      p.top_k = 0;
      break;
    case SamplerStep::kTypical:
      p.typical_milli = kMilli;
      break;
    case SamplerStep::kTopP:
      p.top_p_milli = kMilli;
      break;
    case SamplerStep::kMinP:
      p.min_p_milli = 0;
      break;
    case SamplerStep::kXtc:
      p.xtc_probability_milli = 0;
      break;
    case SamplerStep::kTemperature:
      p.temperature_milli = kMilli;
      break;
  }
}

// Only what is named works. The usual order is not noted as one that was chosen.
void apply_samplers(NamedSamplers& named, SamplerParams& p) {
  if (!named.penalties) {
    p.repeat_penalty_milli = kMilli;
    p.presence_penalty_milli = p.frequency_penalty_milli = 0;
  }
  if (!named.dry) p.dry_multiplier_milli = 0;
  for (u8 step = 0; step < kSamplerSteps; step++)
    if (!named.has(static_cast<SamplerStep>(step))) turn_off(static_cast<SamplerStep>(step), p);
  named.order.chosen =
      !std::ranges::is_sorted(std::span(named.order.steps).first(named.order.count));
  if (named.order.chosen) p.order = named.order;
}

// Either a list of names, or one letter each.
Result<void> read_samplers(json::Value body, Parameters& out, ApiError& error) {
  json::Value given = body.find("samplers");
  if (given.is_null()) return {};
  NamedSamplers named;
  auto row_of = [](auto&& fits) {
    auto found = std::ranges::find_if(kSamplers, fits);
    return found == std::end(kSamplers) ? nullptr : &*found;
  };
  if (given.is_string()) {
    for (const char& letter : given.text())
      TRY(add_sampler(row_of([&](const SamplerRow& row) { return row.letter == letter; }),
                      {&letter, 1}, named, error));
  } else if (given.is_array()) {
    for (json::Value one : given.elements())
      TRY(add_sampler(row_of([&](const SamplerRow& row) { return row.name == one.text(); }),
                      one.text(), named, error));
  } else {
    return error.bad("samplers", "'samplers' must be a list of names, or a text of letters");
  }
  apply_samplers(named, out.sampling);
  return {};
}

Result<void> read_breakers(json::Value body, Parameters& out, ApiError& error) {
  json::Value list = body.find("dry_sequence_breakers");
  if (list.is_null()) return {};
  bool fine = list.is_array() && list.size() > 0 && list.size() <= kMaxBreakers;
  for (json::Value one : list.elements()) {
    fine = fine && one.is_string() && !one.text().empty();
    fine = fine && one.text().size() <= kMaxBreakerBytes;
    if (fine) TRY(out.dry_breakers.push_back(one.text()));
  }
  if (fine) return {};
  return error.bad("dry_sequence_breakers",
                   "'dry_sequence_breakers' must be a list of 1 to {} texts of 1 to {} bytes",
                   kMaxBreakers, kMaxBreakerBytes);
}

// llama-server's sampler of that name is off unless its number is above 0.
Result<void> refuse_unknown_samplers(json::Value body, ApiError& error) {
  if (body.find("top_n_sigma").scaled(3).value_or(0) <= 0) return {};
  return error.bad("top_n_sigma", "'top_n_sigma' is not supported: leave it out, or send -1");
}

}  // namespace

void write_sampling(const SamplerParams& p, json::Writer& w) {
  for (const MilliRow& row : kMilliRows) {
    auto first = std::ranges::find(kMilliRows, row.field, &MilliRow::field);
    if (first == &row) w.field(row.name, base::Decimal{p.*row.field, 3});
  }
  w.field("top_k", p.top_k);
  for (const CountRow& row : kCountRows) {
    i64 count = p.*row.field;
    w.field(row.name, row.least < 0 && count >= kWholeContext ? i64{-1} : count);
  }
  constexpr SamplerStep kUsual[] = {SamplerStep::kTopK, SamplerStep::kTypical,
                                    SamplerStep::kTopP, SamplerStep::kMinP,
                                    SamplerStep::kXtc,  SamplerStep::kTemperature};
  std::span<const SamplerStep> steps = kUsual;
  if (p.order.chosen) steps = std::span(p.order.steps).first(p.order.count);
  w.key("samplers").begin_array().value("penalties").value("dry");
  for (SamplerStep step : steps) {
    auto row = std::ranges::find_if(kSamplers, [&](const SamplerRow& one) {
      return one.kind == SamplerKind::kStep && one.step == step;
    });
    w.value(row->name);
  }
  w.end_array();
}

void write_bias(std::span<const LogitBias> bias, json::Writer& w) {
  w.key("logit_bias").begin_array();
  for (const LogitBias& one : bias) {
    w.begin_object();
    if (one.bias_milli == LogitBias::kNever)
      w.field_null("bias");
    else
      w.field("bias", base::Decimal{one.bias_milli, 3});
    w.field("token", one.token).end_object();
  }
  w.end_array();
}

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

Result<void> read_defaults(std::string_view text, SamplerParams& out, ApiError& error) {
  Parameters read;
  read.sampling = out;
  while (!text.empty()) {
    std::string_view value = base::split_off(text, ',');
    std::string_view name = base::trim(base::split_off(value, '='));
    NumberRoom room;
    json::Document number = TRY(written_number(name, base::trim(value), room, error));
    if (!TRY(sampler_value(name, number.root(), read, error)))
      return error.bad(name, "'{}' is no number of a sampler", name);
  }
  TRY(check_sampling(read.sampling, error));
  out = read.sampling;
  return {};
}

Result<void> read_parameters(json::Value body, const Tokenizer& tokenizer, Parameters& out,
                             ApiError& error) {
  for (const MilliRow& row : kMilliRows)
    if (json::Value value = body.find(row.name); !value.is_null())
      TRY(milli_value(value, row, out, error));
  for (const CountRow& row : kCountRows)
    if (json::Value value = body.find(row.name); !value.is_null())
      TRY(count_value(value, row, out, error));
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
  out.cuts_prompt = out.slide = truncation == "auto";
  out.stays = truncation == "disabled";
  TRY(read_lengths(body, out, error));
  TRY(read_stop(body, out, error));
  TRY(read_bias(body, tokenizer, out, error));
  TRY(exclude_ends(tokenizer, out));
  TRY(read_logprobs(body, out, error));
  TRY(refuse_unknown_samplers(body, error));
  TRY(read_samplers(body, out, error));
  TRY(read_breakers(body, out, error));
  TRY(read_format(body, out, error));
  if (!out.grammar.empty() && (out.schema.present() || out.json_object))
    return error.bad("grammar", "'grammar' and a JSON format exclude each other");
  return check_sampling(out.sampling, error);
}

Result<void> read_query_parameter(std::string_view name, std::string_view value, Parameters& out,
                                  ApiError& error) {
  NumberRoom room;
  json::Document number = TRY(written_number(name, value, room, error));
  json::Value root = number.root();
  if (TRY(sampler_value(name, root, out, error))) return check_sampling(out.sampling, error);
  i64 whole = root.integer().value_or(-1);
  if (whole < 0) return error.bad(name, "'{}' must be a whole number", name);
  if (name == "seed") {
    out.sampling.seed = static_cast<u64>(whole);
    out.seed_given = true;
  } else if (name == "n") {
    if (whole < 1 || whole > kMaxTokens) return error.bad(name, "'n' must be at least 1");
    out.max_tokens = static_cast<u32>(whole);
  } else {
    return error.bad(name, "unknown query parameter '{}'", name);
  }
  return {};
}

}  // namespace ai::openai
