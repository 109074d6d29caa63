// SPDX-License-Identifier: GPL-2.0-or-later
// Encoding around special tokens, and making the tokenizer a model file describes.
#include "ai/tokenizer/tokenizer.h"

#include "ai/gguf/reader.h"
#include "ai/tokenizer/algorithm.h"

namespace ai {
namespace {

constexpr std::string_view kSpaces = " \t\n\v\f\r";

struct Special {
  usize at;
  TokenId token;  // kNone: none up to the end
};

// The first special token of `text` from `from` on; of those that begin there, the longest.
Special next_special(const Vocabulary& vocabulary, std::string_view text, usize from,
                     ParseSpecial parse) {
  for (usize at = from; at < text.size(); at++) {
    if (!vocabulary.special_begins(text[at])) continue;
    TokenId token = vocabulary.special_at(text.substr(at), parse);
    if (token != Vocabulary::kNone) return {at, token};
  }
  return {text.size(), Vocabulary::kNone};
}

}  // namespace

Result<void> VocabularyTokenizer::encode(std::string_view text, AddSpecial add, ParseSpecial parse,
                                         Vector<TokenId>& out) const {
  if (add == AddSpecial::kYes && vocabulary_.add_bos) TRY(out.push_back(vocabulary_.bos));
  bool after_special = true;
  for (usize at = 0; at < text.size();) {
    Special special = next_special(vocabulary_, text, at, parse);
    if (special.at > at) {
      TRY(encode_text(text.substr(at, special.at - at), after_special, out));
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
    {"tokenizer.ggml.seperator_token_id", &TokenizerConfig::separator},  // spelled so in GGUF
    {"tokenizer.ggml.padding_token_id", &TokenizerConfig::padding},
    {"tokenizer.ggml.mask_token_id", &TokenizerConfig::mask},
    {"tokenizer.ggml.fim_pad_token_id", &TokenizerConfig::fim_pad},
    {"tokenizer.ggml.fim_rep_token_id", &TokenizerConfig::fim_repository},
    {"tokenizer.ggml.fim_sep_token_id", &TokenizerConfig::fim_separator},
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
  for (usize i = 0; i < texts.size(); i++) TRY(into.push_back(texts[i]));
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
    // A negative id becomes one that is outside every vocabulary.
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
