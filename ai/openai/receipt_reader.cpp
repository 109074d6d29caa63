// SPDX-License-Identifier: GPL-2.0-or-later
// Reads receipts, which are foreign bytes. What the signature does not cover is refused: a receipt
// has the fields of the format, each once, and no others.
#include <algorithm>
#include <charconv>
#include <limits>

#include "ai/openai/parameters.h"
#include "ai/openai/receipt_fields.h"
#include "kernel/base/hex.h"

namespace ai::openai {
namespace {

// An object whose members are taken by name. Afterwards none may be left.
class Fields {
 public:
  Fields(json::Value object, std::string_view where, base::Writer& why)
      : object_(object), where_(where), why_(why) {}

  std::unexpected<Error> bad(std::string_view name, std::string_view must) {
    base::format_to(why_, "'{}{}' {}", where_, name, must);
    return fail(Errc::kInvalidArgument, "the receipt is malformed");
  }
  json::Value take(std::string_view name) {
    taken_++;
    return object_.find(name);
  }
  Result<std::string_view> text(std::string_view name, usize most) {
    json::Value value = take(name);
    if (!value.is_string()) return bad(name, "must be a string");
    if (value.text().size() > most) return bad(name, "is too long");
    return value.text();
  }
  Result<i64> integer(std::string_view name, i64 least, i64 most) {
    Result<i64> value = take(name).integer();
    if (value.has_value() && *value >= least && *value <= most) return value;
    return bad(name, "must be a whole number in its range");
  }
  Result<u32> count(std::string_view name) {
    return static_cast<u32>(TRY(integer(name, 0, std::numeric_limits<u32>::max())));
  }
  Result<bool> flag(std::string_view name) {
    json::Value value = take(name);
    if (!value.is_bool()) return bad(name, "must be true or false");
    return value.is_true();
  }
  Result<json::Value> list(std::string_view name, u32 most) {
    json::Value value = take(name);
    if (!value.is_array()) return bad(name, "must be a list");
    if (value.size() > most) return bad(name, "is too long");
    return value;
  }
  Result<json::Value> object(std::string_view name) {
    json::Value value = take(name);
    if (!value.is_object()) return bad(name, "must be an object");
    return value;
  }
  Result<void> hex(std::string_view name, std::span<Byte> out) {
    std::string_view digits = TRY(text(name, 2 * out.size()));
    if (!base::read_hex(digits, out))
      return bad(name, "must be hexadecimal digits of the format's length");
    return {};
  }
  template <usize count>
  Result<usize> word(std::string_view name, const std::string_view (&words)[count]) {
    std::string_view word = TRY(text(name, 32));
    for (usize i = 0; i < count; i++)
      if (words[i] == word) return i;
    return bad(name, "has a value that this version does not know");
  }
  // Called after everything was taken.
  Result<void> end() {
    if (object_.size() == taken_) return {};
    base::format_to(why_, "'{}' has a field that the format does not have, or one of them twice",
                    where_.empty() ? "receipt" : where_.substr(0, where_.size() - 1));
    return fail(Errc::kInvalidArgument, "the receipt is malformed");
  }

 private:
  json::Value object_;
  std::string_view where_;
  base::Writer& why_;
  u32 taken_ = 0;
};

constexpr u32 kMostTokens = 1 << 20;  // as many as a context can have
// A request's own, and the tokens that end answers where they are excluded.
constexpr u32 kMostBias = 2 * kMaxBias;

Result<void> read_ids(Fields& fields, std::string_view name, Vector<TokenId>& out) {
  json::Value list = TRY(fields.list(name, kMostTokens));
  TRY(out.reserve(list.size()));
  for (json::Value one : list.elements()) {
    i64 id = one.integer().value_or(-1);
    if (id < 0 || id >= Tokenizer::kNoToken) return fields.bad(name, "must be a list of token ids");
    TRY(out.push_back(static_cast<TokenId>(id)));
  }
  if (out.empty()) return fields.bad(name, "must have at least one token");
  return {};
}

Result<u64> read_seed(Fields& fields) {
  std::string_view digits = TRY(fields.text("seed", 20));
  u64 seed = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), seed);
  if (error != std::errc{} || end != digits.data() + digits.size())
    return fields.bad("seed", "must be the digits of a number below 2^64");
  return seed;
}

Result<void> read_bias(Fields& fields, Receipt& out) {
  json::Value list = TRY(fields.list("logit_bias", kMostBias));
  constexpr i64 kMost = std::numeric_limits<i32>::max();
  for (json::Value pair : list.elements()) {
    i64 id = pair.at(0).integer().value_or(-1), milli = pair.at(1).integer().value_or(kMost + 1);
    bool never = pair.at(1).present() && pair.at(1).is_null();
    if (never) milli = LogitBias::kNever;
    bool right = pair.size() == 2 && id >= 0 && id < Tokenizer::kNoToken &&
                 (never || (milli >= -kMost && milli <= kMost));
    if (!right) return fields.bad("logit_bias", "must be a list of pairs of a token and a bias");
    TRY(out.bias.push_back({static_cast<TokenId>(id), static_cast<i32>(milli)}));
  }
  return {};
}

struct TextLimits {
  u32 count, bytes;
};
Result<void> read_texts(Fields& fields, std::string_view name, TextLimits most,
                        Vector<String>& out) {
  json::Value list = TRY(fields.list(name, most.count));
  for (json::Value one : list.elements()) {
    if (!one.is_string() || one.text().empty() || one.text().size() > most.bytes)
      return fields.bad(name, "must be a list of strings of the length that requests may have");
    TRY(out.push_back(TRY(String::from(one.text()))));
  }
  return {};
}

Result<void> read_order(Fields& fields, SamplerOrder& out) {
  json::Value list = TRY(fields.list("samplers", kSamplerSteps));
  for (json::Value one : list.elements()) {
    auto word = std::ranges::find(kStepWords, one.text());
    auto step = static_cast<SamplerStep>(word - kStepWords);
    auto before = std::span(out.steps).first(out.count);
    if (word == std::end(kStepWords) || std::ranges::find(before, step) != before.end())
      return fields.bad("samplers",
                        "must be a list of samplers that this version knows, each once");
    out.steps[out.count++] = step;
  }
  out.chosen = out.count > 0;
  return {};
}

Result<void> read_settings(json::Value object, Receipt& out, base::Writer& why) {
  Fields fields(object, "parameters.", why);
  out.sampling.seed = TRY(read_seed(fields));
  constexpr i64 kMost = std::numeric_limits<i32>::max();
  for (const MilliField& row : kMilliFields)
    out.sampling.*row.member = static_cast<i32>(TRY(fields.integer(row.name, -kMost, kMost)));
  for (const CountField& row : kCountFields) out.sampling.*row.member = TRY(fields.count(row.name));
  TRY(read_order(fields, out.sampling.order));
  TRY(read_texts(fields, "dry_breakers", {kMaxBreakers, kMaxBreakerBytes}, out.dry_breakers));
  TRY(read_bias(fields, out));
  out.max_tokens = TRY(fields.count("max_tokens"));
  out.ignore_end = TRY(fields.flag("ignore_eos"));
  TRY(read_texts(fields, "stop", {kMaxStops, kMaxStopBytes}, out.stop));
  Result<void> checked = check_sampler_params(out.sampling);
  if (!checked.has_value()) {
    base::format_to(why, "'parameters': {}", checked.error().what);
    return checked;
  }
  return fields.end();
}

Result<void> read_model(json::Value object, Receipt& out, base::Writer& why) {
  constexpr usize kMostName = 4096;
  Fields fields(object, "model.", why);
  TRY(out.model.assign(TRY(fields.text("name", kMostName))));
  TRY(fields.hex("sha256", out.model_sha256));
  Byte fingerprint[8];
  TRY(fields.hex("fingerprint", fingerprint));
  for (Byte byte : fingerprint) out.fingerprint = out.fingerprint << 8 | byte;
  return fields.end();
}

Result<void> read_grammar(json::Value object, Receipt& out, base::Writer& why) {
  Fields fields(object, "grammar.", why);
  out.grammar.kind = static_cast<GrammarSource::Kind>(TRY(fields.word("kind", kGrammarWords)));
  // JSON of a schema may be longer than the names and texts in it.
  TRY(out.grammar.text.assign(TRY(fields.text("text", 4 * Grammar::kMaxText))));
  if ((out.grammar.kind == GrammarSource::Kind::kNone) != out.grammar.text.empty())
    return fields.bad("text", "must be empty for the kind 'none', and for no other");
  return fields.end();
}

Result<void> read_marks(Fields& fields, Receipt& out) {
  json::Value list = TRY(fields.list("marks", kMostTokens));
  TRY(out.marks.reserve(list.size()));
  for (json::Value one : list.elements()) {
    std::string_view digits = one.text();
    u32 mark = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), mark, 16);
    if (!one.is_string() || digits.size() != 8 || error != std::errc{} ||
        end != digits.data() + digits.size())
      return fields.bad("marks", "must be a list of 8 hexadecimal digits each");
    TRY(out.marks.push_back(mark));
  }
  if (out.marks.size() != out.answer.size())
    return fields.bad("marks", "must have one entry for each token of 'answer'");
  return {};
}

// Refuses other versions, before their other fields are looked at.
Result<void> read_versions(Fields& fields, base::Writer& why) {
  i64 version = TRY(fields.integer("receipt_version", 0, std::numeric_limits<u32>::max()));
  i64 numerics = TRY(fields.integer("numerics_version", 0, std::numeric_limits<u32>::max()));
  if (version != kReceiptVersion) {
    base::format_to(why, "the receipt has format version {}; this machine reads version {}",
                    version, kReceiptVersion);
    return fail(Errc::kUnsupported, "a receipt of another format version");
  }
  if (numerics != kNumericsVersion) {
    base::format_to(why,
                    "the answer was computed with numerics version {}; this machine computes with "
                    "version {} and gets other bits: use a Marrow of that version",
                    numerics, kNumericsVersion);
    return fail(Errc::kUnsupported, "a receipt of another numerics version");
  }
  return {};
}

}  // namespace

Result<Receipt> read_receipt(json::Value value, base::Writer& why) {
  if (!value.is_object() || !value.find("receipt_version").present()) {
    why.write("this is no receipt: a receipt is an object that begins with 'receipt_version'");
    return fail(Errc::kInvalidArgument, "the receipt is malformed");
  }
  Receipt out;
  Fields fields(value, {}, why);
  TRY(read_versions(fields, why));
  TRY(read_model(TRY(fields.object("model")), out, why));
  Result<KvType> cache = kv_type_by_name(TRY(fields.text("cache", 32)));
  if (!cache.has_value()) return fields.bad("cache", "has a value that this version does not know");
  out.cache = *cache;
  out.context = TRY(fields.count("context"));
  out.has_template = !value.find("template_sha256").is_null();
  if (out.has_template)
    TRY(fields.hex("template_sha256", out.template_sha256));
  else if (!fields.take("template_sha256").present())
    return fields.bad("template_sha256", "is missing");
  TRY(read_ids(fields, "prompt", out.prompt));
  TRY(read_settings(TRY(fields.object("parameters")), out, why));
  TRY(read_grammar(TRY(fields.object("grammar")), out, why));
  TRY(read_ids(fields, "answer", out.answer));
  // the token that ends an answer needs no room
  if (out.prompt.size() >= out.context || out.answer.size() > out.context - out.prompt.size() + 1)
    return fields.bad("context", "must have room for the prompt and the answer");
  constexpr FinishReason kReasons[] = {FinishReason::kStop, FinishReason::kLength,
                                       FinishReason::kContextFull};
  out.finish = kReasons[TRY(fields.word("finish_reason", kFinishWords))];
  TRY(fields.hex("text_sha256", out.text_sha256));
  TRY(fields.hex("chain", out.chain));
  TRY(read_marks(fields, out));
  TRY(fields.hex("key", out.key));
  TRY(fields.hex("signature", out.signature));
  TRY(fields.end());
  return out;
}

}  // namespace ai::openai
