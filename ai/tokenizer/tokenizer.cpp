// SPDX-License-Identifier: GPL-2.0-or-later
// Encodes text around special tokens, and makes the tokenizer that a model file describes.
#include "ai/tokenizer/tokenizer.h"

#include "ai/gguf/reader.h"
#include "ai/tokenizer/algorithm.h"

namespace ai {
namespace {

constexpr std::string_view kSpaces = " \t\n\v\f\r";

struct Special {
  usize at;
  TokenId token;  // kNone: there is none up to the end
};

// Finds the first special token of `text` at or after `from`. Where several begin at one place, the
// longest is taken. Guarded text has a guard inside each spelling of a special token, so the
// spelling is not found. A spelling of one byte has no inside: there the guard follows it.
Special next_special(const Vocabulary& vocabulary, std::string_view text, usize from,
                     ParseSpecial parse, bool guarded) {
  for (usize at = from; at < text.size(); at++) {
    if (!vocabulary.special_begins(text[at])) continue;
    TokenId token = vocabulary.special_at(text.substr(at), parse);
    if (token == Vocabulary::kNone) continue;
    bool meant = !guarded || vocabulary.special_bytes(token) > 1 ||
                 !text.substr(at + 1).starts_with(Tokenizer::kGuard);
    if (meant) return {at, token};
  }
  return {text.size(), Vocabulary::kNone};
}

// Returns the bytes of the first character of `text`, as far as it is there.
usize first_character(std::string_view text) {
  usize n = 1;
  while (n < text.size() && (static_cast<u8>(text[n]) & 0xc0) == 0x80) n++;
  return n;
}

}  // namespace

// Doubles a guard that the text itself contains.
Result<void> Tokenizer::guard(std::string_view text, String& out) const {
  for (usize at = 0; at < text.size();) {
    usize end = std::min(text.find(kGuard, at), text.size());
    TRY(out.append(text.substr(at, end - at)));
    if (end == text.size()) break;
    TRY(out.append(kGuard));
    TRY(out.append(kGuard));
    at = end + kGuard.size();
  }
  return {};
}

Result<void> Tokenizer::unguard(std::string_view text, String& out) {
  while (!text.empty()) {
    usize end = std::min(text.find(kGuard), text.size());
    TRY(out.append(text.substr(0, end)));
    text.remove_prefix(std::min(end + kGuard.size(), text.size()));
    if (!text.starts_with(kGuard)) continue;
    TRY(out.append(kGuard));
    text.remove_prefix(kGuard.size());
  }
  return {};
}

Result<u32> Tokenizer::encode_pair(std::string_view first, std::string_view second,
                                   Vector<TokenId>& out) const {
  TRY(encode(first, AddSpecial::kYes, ParseSpecial::kNo, out));
  u32 begin = static_cast<u32>(out.size());
  TRY(encode(second, AddSpecial::kNo, ParseSpecial::kNo, out));
  return begin;
}

Result<void> Tokenizer::encode_guarded(std::string_view text, AddSpecial add,
                                       Vector<TokenId>& out) const {
  String plain;
  TRY(unguard(text, plain));
  return encode(plain.view(), add, ParseSpecial::kNo, out);
}

// Puts a guard after the first character of every control token's spelling, and of an end of the
// text that could become one together with what follows.
Result<void> VocabularyTokenizer::guard(std::string_view text, String& out) const {
  usize done = 0;
  auto put = [&](usize end, bool mark) -> Result<void> {
    TRY(Tokenizer::guard(text.substr(done, end - done), out));
    done = end;
    return mark ? out.append(kGuard) : Result<void>();
  };
  for (usize at = 0; at < text.size();) {
    std::string_view rest = text.substr(at);
    if (!vocabulary_.special_begins(rest[0])) {
      at++;
      continue;
    }
    TokenId token = vocabulary_.special_at(rest, ParseSpecial::kYes);
    bool control = token != Vocabulary::kNone && vocabulary_.type(token) != TokenType::kUserDefined;
    bool mark = control || vocabulary_.begins_special(rest);
    if (mark) TRY(put(at + first_character(rest), true));
    bool whole = token != Vocabulary::kNone && !mark;  // a user-defined token stays whole
    at += whole ? vocabulary_.special_bytes(token) : 1;
  }
  return put(text.size(), false);
}

Result<void> VocabularyTokenizer::encode(std::string_view text, AddSpecial add, ParseSpecial parse,
                                         Vector<TokenId>& out) const {
  return encode_around(text, add, parse, false, out);
}

Result<u32> VocabularyTokenizer::encode_pair(std::string_view first, std::string_view second,
                                             Vector<TokenId>& out) const {
  TRY(encode(first, AddSpecial::kYes, ParseSpecial::kNo, out));
  u32 begin = static_cast<u32>(out.size());
  if (vocabulary_.add_separator) TRY(out.push_back(closing()));
  TRY(encode(second, AddSpecial::kNo, ParseSpecial::kNo, out));
  if (vocabulary_.add_eos) TRY(out.push_back(closing()));
  return begin;
}

Result<void> VocabularyTokenizer::encode_guarded(std::string_view text, AddSpecial add,
                                                 Vector<TokenId>& out) const {
  bool guarded = text.find(kGuard) != std::string_view::npos;
  return encode_around(text, add, ParseSpecial::kYes, guarded, out);
}

Result<void> VocabularyTokenizer::encode_around(std::string_view text, AddSpecial add,
                                                ParseSpecial parse, bool guarded,
                                                Vector<TokenId>& out) const {
  if (text.size() > longest_text())
    return fail(Errc::kContextFull, "the text is longer than a context of tokens can be");
  if (add == AddSpecial::kYes && vocabulary_.add_bos) TRY(out.push_back(vocabulary_.bos));
  bool after_special = true;
  String plain;
  for (usize at = 0; at < text.size();) {
    Special special = next_special(vocabulary_, text, at, parse, guarded);
    std::string_view between = text.substr(at, special.at - at);
    if (guarded) {
      plain.clear();
      TRY(unguard(between, plain));
      between = plain.view();
    }
    if (!between.empty()) {
      TRY(encode_text(between, after_special, out));
      after_special = false;
    }
    if (special.token == Vocabulary::kNone) break;
    TRY(out.push_back(special.token));
    after_special = true;
    at = special.at + vocabulary_.special_bytes(special.token);
    if (vocabulary_.swallows_space_after(special.token))
      at = std::min(text.find_first_not_of(kSpaces, at), text.size());
  }
  if (add == AddSpecial::kYes && vocabulary_.add_eos) TRY(out.push_back(closing()));
  return {};
}

namespace {

struct Model {
  std::string_view name;  // tokenizer.ggml.model
  Result<base::Owner<Tokenizer>> (*make)(const TokenizerConfig& config, Platform& platform);
};
constexpr Model kModels[] = {
    {"gpt2", make_bpe},   {"gemma4", make_bpe},     {"llama", make_spm},
    {"t5", make_unigram}, {"bert", make_wordpiece},
};

struct IdKey {
  const char* key;
  std::optional<u64> TokenizerConfig::* into;
};
constexpr IdKey kIdKeys[] = {
    {"tokenizer.ggml.bos_token_id", &TokenizerConfig::bos},
    {"tokenizer.ggml.eos_token_id", &TokenizerConfig::eos},
    {"tokenizer.ggml.eot_token_id", &TokenizerConfig::eot},
    {"tokenizer.ggml.eom_token_id", &TokenizerConfig::eom},
    {"tokenizer.ggml.unknown_token_id", &TokenizerConfig::unknown},
    {"tokenizer.ggml.seperator_token_id", &TokenizerConfig::separator},  // GGUF has this spelling
    {"tokenizer.ggml.padding_token_id", &TokenizerConfig::padding},
    {"tokenizer.ggml.mask_token_id", &TokenizerConfig::mask},
    {"tokenizer.ggml.fim_pad_token_id", &TokenizerConfig::fim_pad},
    {"tokenizer.ggml.fim_rep_token_id", &TokenizerConfig::fim_repository},
    {"tokenizer.ggml.fim_sep_token_id", &TokenizerConfig::fim_separator},
    {"tokenizer.ggml.prefix_token_id", &TokenizerConfig::fim_prefix},  // older files have these
    {"tokenizer.ggml.suffix_token_id", &TokenizerConfig::fim_suffix},
    {"tokenizer.ggml.middle_token_id", &TokenizerConfig::fim_middle},
    {"tokenizer.ggml.fim_pre_token_id", &TokenizerConfig::fim_prefix},
    {"tokenizer.ggml.fim_suf_token_id", &TokenizerConfig::fim_suffix},
    {"tokenizer.ggml.fim_mid_token_id", &TokenizerConfig::fim_middle},
};

struct FlagKey {
  const char* key;
  std::optional<bool> TokenizerConfig::* into;
};
constexpr FlagKey kFlagKeys[] = {
    {"tokenizer.ggml.add_bos_token", &TokenizerConfig::add_bos},
    {"tokenizer.ggml.add_eos_token", &TokenizerConfig::add_eos},
    {"tokenizer.ggml.add_sep_token", &TokenizerConfig::add_separator},
    {"tokenizer.ggml.add_space_prefix", &TokenizerConfig::add_space_prefix},
    {"tokenizer.ggml.remove_extra_whitespaces", &TokenizerConfig::remove_extra_spaces},
    {"tokenizer.ggml.normalizer.lowercase", &TokenizerConfig::lowercase},
    {"tokenizer.ggml.normalizer.strip_accents", &TokenizerConfig::strip_accents},
};

Result<void> read_texts(const GgufFile& file, std::string_view key,
                        Vector<std::string_view>& into) {
  GgufStrings texts = TRY(file.get_strings(key));
  TRY(into.reserve(texts.size()));
  for (usize i = 0; i < texts.size(); i++) {
    if (i % kTextsPerBreath == 0) file.platform().breathe();
    TRY(into.push_back(texts[i]));
  }
  return {};
}

Result<void> read_scores(const GgufFile& file, TokenizerConfig& config) {
  GgufNumbers scores = TRY(file.get_numbers("tokenizer.ggml.scores"));
  TRY(config.scores.reserve(scores.size()));
  for (usize i = 0; i < scores.size(); i++) TRY(config.scores.push_back(scores.real(i)));
  return {};
}

Result<void> read_types(const GgufFile& file, TokenizerConfig& config) {
  GgufNumbers types = TRY(file.get_numbers("tokenizer.ggml.token_type"));
  TRY(config.types.reserve(types.size()));
  for (usize i = 0; i < types.size(); i++) {
    i64 type = types.is_real() ? 0 : types.integer(i);
    bool known = type >= 0 && type <= static_cast<i64>(TokenType::kByte);
    TRY(config.types.push_back(known ? static_cast<TokenType>(type) : TokenType::kUndefined));
  }
  return {};
}

Result<TokenizerConfig> read_config(const GgufFile& file) {
  TokenizerConfig config;
  config.model = TRY(file.get_string("tokenizer.ggml.model"));
  config.pre = TRY(file.get_string("tokenizer.ggml.pre", ""));
  config.general_name = TRY(file.get_string("general.name", ""));
  for (const IdKey& row : kIdKeys) {
    // A negative id becomes one outside every vocabulary.
    if (file.has(row.key)) config.*row.into = static_cast<u64>(TRY(file.get_i64(row.key)));
  }
  for (const FlagKey& row : kFlagKeys) {
    if (file.has(row.key)) config.*row.into = TRY(file.get_bool(row.key));
  }
  TRY(read_texts(file, "tokenizer.ggml.tokens", config.tokens));
  if (file.has("tokenizer.ggml.merges"))
    TRY(read_texts(file, "tokenizer.ggml.merges", config.merges));
  if (file.has("tokenizer.ggml.scores")) TRY(read_scores(file, config));
  if (file.has("tokenizer.ggml.token_type")) TRY(read_types(file, config));
  if (file.has("tokenizer.ggml.precompiled_charsmap")) {
    GgufNumbers map = TRY(file.get_numbers("tokenizer.ggml.precompiled_charsmap"));
    if (map.type() != GgufType::kU8 && map.type() != GgufType::kI8)
      return fail(Errc::kCorrupt, "tokenizer.ggml.precompiled_charsmap is not bytes");
    TRY(config.charsmap.reserve(map.size()));
    for (usize i = 0; i < map.size(); i++)
      TRY(config.charsmap.push_back(static_cast<Byte>(map.integer(i))));
  }
  return config;
}

}  // namespace

Result<base::Owner<Tokenizer>> make_tokenizer(const TokenizerConfig& config, Platform& platform) {
  for (const Model& model : kModels) {
    if (config.model == model.name) return model.make(config, platform);
  }
  log(platform, LogLevel::kError, "tokenizer.ggml.model: unknown tokenizer '{}'", config.model);
  return fail(Errc::kUnsupported, "tokenizer.ggml.model names an unknown tokenizer");
}

Result<base::Owner<Tokenizer>> Tokenizer::load(const GgufFile& file, Platform& platform) {
  TokenizerConfig config = TRY(read_config(file));
  return make_tokenizer(config, platform);
}

}  // namespace ai
