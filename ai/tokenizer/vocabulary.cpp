// SPDX-License-Identifier: GPL-2.0-or-later
// Loads a vocabulary: spelling, index by text, roles of tokens.
#include "ai/tokenizer/vocabulary.h"

#include <bit>

#include "ai/tokenizer/byte_level.h"
#include "kernel/base/bytes.h"
#include "kernel/base/hex.h"

namespace ai {
namespace {

constexpr std::string_view kSpaceMark = "\xe2\x96\x81";  // U+2581 stands for a space
// Real vocabularies need a few dozen steps. Only texts made to collide need thousands.
constexpr u32 kMaxProbes = 4096;

u64 hash(std::string_view text) {
  constexpr u64 kOdd = 0x9e3779b97f4a7c15;
  u64 h = text.size() * kOdd;
  const Byte* at = reinterpret_cast<const Byte*>(text.data());
  usize left = text.size();
  for (; left >= 8; left -= 8, at += 8) h = std::rotl((h ^ base::load<u64>(at)) * kOdd, 29);
  u64 tail = 0;
  for (usize i = 0; i < left; i++) tail |= u64{at[i]} << (8 * i);
  h = (h ^ tail) * kOdd;
  return h ^ h >> 32;
}

// Returns 10 for "<0x0A>", and so on.
std::optional<u8> byte_text(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
  auto high = base::hex_digit(text[3]);
  auto low = base::hex_digit(text[4]);
  if (!high || !low) return std::nullopt;
  return static_cast<u8>(*high << 4 | *low);
}

// Names of tokens that end generation, whatever type the file gives them. Converters often leave
// out the ids of eot, eom and fim tokens, so only the names are known.
constexpr std::string_view kEndNames[] = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|calls|>",
    "<|flush|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
    // Fill-in-the-middle: separators for padding, repositories and files.
    "<|fim_pad|>",
    "<fim-pad>",
    "<fim_pad>",
    "<PAD>",
    "[PAD]",
    "<|fim_repo|>",
    "<|repo_name|>",
    "<fim-repo>",
    "<REPO>",
    "<reponame>",
    "<|file_sep|>",
};
// Harmony's markup, which readers of the answer need as text, although the file calls it control
// tokens.
constexpr std::string_view kVisibleNames[] = {"<|channel|>", "<|message|>", "<|start|>",
                                              "<|constrain|>"};

// Names of the tokens around gaps. Most files do not have their ids.
struct FillName {
  std::string_view name;
  TokenId FillTokens::* role;
};
constexpr FillName kFillNames[] = {
    {"<|fim_prefix|>", &FillTokens::prefix},    {"<fim-prefix>", &FillTokens::prefix},
    {"<fim_prefix>", &FillTokens::prefix},      {"<PRE>", &FillTokens::prefix},
    {"\xe2\x96\x81<PRE>", &FillTokens::prefix}, {"<｜fim▁begin｜>", &FillTokens::prefix},
    {"<|fim_suffix|>", &FillTokens::suffix},    {"<fim-suffix>", &FillTokens::suffix},
    {"<fim_suffix>", &FillTokens::suffix},      {"<SUF>", &FillTokens::suffix},
    {"\xe2\x96\x81<SUF>", &FillTokens::suffix}, {"<｜fim▁hole｜>", &FillTokens::suffix},
    {"<|fim_middle|>", &FillTokens::middle},    {"<fim-middle>", &FillTokens::middle},
    {"<fim_middle>", &FillTokens::middle},      {"<MID>", &FillTokens::middle},
    {"\xe2\x96\x81<MID>", &FillTokens::middle}, {"<｜fim▁end｜>", &FillTokens::middle},
    {"<|fim_repo|>", &FillTokens::repository},  {"<|repo_name|>", &FillTokens::repository},
    {"<fim-repo>", &FillTokens::repository},    {"<REPO>", &FillTokens::repository},
    {"<reponame>", &FillTokens::repository},    {"<|file_sep|>", &FillTokens::file},
};

bool among(std::string_view text, std::span<const std::string_view> names) {
  return std::find(names.begin(), names.end(), text) != names.end();
}

bool contains_ignoring_case(std::string_view text, std::string_view lower) {
  for (usize at = 0; at + lower.size() <= text.size(); at++) {
    usize i = 0;
    while (i < lower.size() && (text[at + i] | 0x20) == (lower[i] | 0x20)) i++;
    if (i == lower.size()) return true;
  }
  return false;
}

}  // namespace

Result<void> Vocabulary::load(const TokenizerConfig& config, const VocabularyDefaults& defaults,
                              Platform& platform) {
  usize count = config.tokens.size();
  if (count == 0 || count > Tokenizer::kNoToken / 4)
    return fail(Errc::kCorrupt, "tokenizer.ggml.tokens is empty or too long");
  if (!config.types.empty() && config.types.size() < count)
    return fail(Errc::kCorrupt, "tokenizer.ggml.token_type is shorter than the vocabulary");
  if (!config.scores.empty() && config.scores.size() < count)
    return fail(Errc::kCorrupt, "tokenizer.ggml.scores is shorter than the vocabulary");
  byte_tokens_.fill(kNone);
  TRY(tokens_.reserve(count));
  for (usize i = 0; i < count; i++) {
    if (i % kTextsPerBreath == 0) platform.breathe();
    TokenType type = config.types.empty() ? TokenType::kNormal : config.types[i];
    TRY(add_token(config.tokens[i], type, defaults.spelling));
  }
  arena_bytes_ = arena_.chars().capacity();
  TRY(scores_.reserve(config.scores.size()));
  for (usize i = 0; i < std::min(count, config.scores.size()); i++) {
    float score = config.scores[i];
    // Sums of scores must stay ordered numbers, whatever the file contains.
    TRY(scores_.push_back(score == score ? std::clamp(score, -1e30f, 1e30f) : 0.0f));
  }
  TRY(build_index(platform));
  if (defaults.spelling == Spelling::kByteLevel) {
    for (u32 byte = 0; byte < 256; byte++) {
      char c = static_cast<char>(byte);
      byte_tokens_[byte] = find({&c, 1});
    }
  }
  choose_roles(config, defaults, platform);
  return collect_special(config);
}

Result<Vocabulary::Span> Vocabulary::store(std::string_view bytes) {
  if (bytes.size() > ~u32{0} - arena_.size())
    return fail(Errc::kCorrupt, "token texts take more than 4 GiB");
  Span span{static_cast<u32>(arena_.size()), static_cast<u32>(bytes.size())};
  TRY(arena_.append(bytes));
  return span;
}

Result<void> Vocabulary::add_token(std::string_view text, TokenType type, Spelling spelling) {
  Token token;
  token.text = TRY(store(text));
  token.type = type;
  if (spelling == Spelling::kByteLevel) {
    TRY(spell_bytes(token, text));
  } else {
    TRY(spell_escaped(token, text));
  }
  bool verbatim =
      type == TokenType::kControl || type == TokenType::kUserDefined || type == TokenType::kUnknown;
  if (verbatim) token.shown = token.text;
  if (type == TokenType::kUnused || type == TokenType::kUndefined) token.shown = {};
  return tokens_.push_back(token);
}

// A text with a character outside the alphabet cannot be spelled by any word.
Result<void> Vocabulary::spell_bytes(Token& token, std::string_view text) {
  token.shown = token.text;
  usize begin = arena_.size();
  if (!TRY(append_bytes(text, arena_))) {
    if (auto value = byte_text(text); value && token.type == TokenType::kByte) {
      char shown = static_cast<char>(*value);
      token.shown = TRY(store({&shown, 1}));
    }
    return {};
  }
  if (arena_.size() > ~u32{0}) return fail(Errc::kCorrupt, "token texts take more than 4 GiB");
  token.spelled = {static_cast<u32>(begin), static_cast<u32>(arena_.size() - begin)};
  if (arena_.view().substr(begin) == text) {
    arena_.truncate(begin);
    token.spelled = token.text;
  }
  token.shown = token.spelled;
  return {};
}

Result<void> Vocabulary::spell_escaped(Token& token, std::string_view text) {
  token.spelled = token.shown = token.text;
  if (auto byte = byte_text(text)) {
    TokenId id = static_cast<TokenId>(tokens_.size());
    if (byte_tokens_[*byte] == kNone) byte_tokens_[*byte] = id;
    if (token.type != TokenType::kByte) return {};
    char shown = static_cast<char>(*byte);
    token.shown = TRY(store({&shown, 1}));
    return {};
  }
  if (text.find(kSpaceMark) == std::string_view::npos) return {};
  usize begin = arena_.size();
  for (usize at = 0; at < text.size();) {
    bool space = text.substr(at).starts_with(kSpaceMark);
    TRY(arena_.push_back(space ? ' ' : text[at]));
    at += space ? kSpaceMark.size() : 1;
  }
  token.shown = {static_cast<u32>(begin), static_cast<u32>(arena_.size() - begin)};
  return {};
}

Result<void> Vocabulary::build_index(Platform& platform) {
  TRY(index_.resize(std::bit_ceil(tokens_.size() * 2)));
  std::fill(index_.begin(), index_.end(), kNone);
  u32 duplicates = 0, too_long = 0;
  for (TokenId id = 0; id < size(); id++) {
    if (id % kTextsPerBreath == 0) platform.breathe();
    usize bytes = tokens_[id].spelled.size;
    if (bytes > kMaxMatchedBytes) too_long++;
    if (bytes == 0 || bytes > kMaxMatchedBytes) continue;
    TRY(insert(id, duplicates));
    longest_ = std::max(longest_, bytes);
  }
  if (duplicates > 0)
    log(platform, LogLevel::kWarn, "tokenizer: {} token texts repeat an earlier one", duplicates);
  if (too_long > 0)
    log(platform, LogLevel::kWarn, "tokenizer: {} tokens longer than {} bytes are never matched",
        too_long, kMaxMatchedBytes);
  return {};
}

Result<void> Vocabulary::insert(TokenId id, u32& duplicates) {
  std::string_view text = spelled(id);
  usize slot = hash(text) & (index_.size() - 1);
  for (u32 probe = 0; probe < kMaxProbes; probe++) {
    if (index_[slot] == kNone) {
      index_[slot] = id;
      return {};
    }
    if (spelled(index_[slot]) == text) {
      duplicates++;
      return {};
    }
    slot = (slot + 1) & (index_.size() - 1);
  }
  return fail(Errc::kCorrupt, "token texts collide too often: the file is damaged or hostile");
}

TokenId Vocabulary::find(std::string_view text) const {
  if (text.empty() || text.size() > longest_) return kNone;
  usize slot = hash(text) & (index_.size() - 1);
  while (index_[slot] != kNone && spelled(index_[slot]) != text)
    slot = (slot + 1) & (index_.size() - 1);
  return index_[slot];
}

std::string_view Vocabulary::piece(TokenId id) const {
  if (id >= size() || tokens_[id].type == TokenType::kControl) return {};
  return view(tokens_[id].shown);
}

void Vocabulary::choose_roles(const TokenizerConfig& config, const VocabularyDefaults& defaults,
                              Platform& platform) {
  struct Role {
    const char* name;
    std::optional<u64> wanted, fallback;
    TokenId* into;
  };
  TokenId eot = kNone, eom = kNone, pad = kNone;
  const Role roles[] = {
      {"bos", config.bos, defaults.bos, &bos},
      {"eos", config.eos, defaults.eos, &eos},
      {"unknown", config.unknown, defaults.unknown, &unknown},
      {"separator", config.separator, defaults.separator, &separator},
      {"eot", config.eot, {}, &eot},
      {"eom", config.eom, {}, &eom},
      {"fim_pad", config.fim_pad, {}, &pad},
      {"fim_rep", config.fim_repository, {}, &fill.repository},
      {"fim_sep", config.fim_separator, {}, &fill.file},
      {"fim_pre", config.fim_prefix, {}, &fill.prefix},
      {"fim_suf", config.fim_suffix, {}, &fill.suffix},
      {"fim_mid", config.fim_middle, {}, &fill.middle},
  };
  for (const Role& role : roles) {
    if (role.fallback && *role.fallback < size()) *role.into = static_cast<TokenId>(*role.fallback);
    if (!role.wanted) continue;
    if (*role.wanted < size()) {
      *role.into = static_cast<TokenId>(*role.wanted);
    } else {
      log(platform, LogLevel::kWarn, "tokenizer.ggml.{}_token_id is {}, the vocabulary has {}",
          role.name, *role.wanted, size());
    }
  }
  mark_known_names();
  for (TokenId id : {eos, eot, eom, pad, fill.repository, fill.file}) {
    if (id != kNone) tokens_[id].end = true;
  }
  keep_harmony_end();
  add_bos = config.add_bos.value_or(defaults.add_bos);
  add_eos = config.add_eos.value_or(defaults.add_eos);
  if ((add_bos && bos == kNone) || (add_eos && eos == kNone))
    log(platform, LogLevel::kWarn, "tokenizer: BOS or EOS is wanted but the vocabulary has none");
  add_bos = add_bos && bos != kNone;
  add_eos = add_eos && eos != kNone;
  add_separator = config.add_separator.value_or(false);
}

void Vocabulary::mark_known_names() {
  for (Token& token : tokens_) {
    std::string_view text = view(token.text);
    name_fill_token(text, static_cast<TokenId>(&token - tokens_.begin()));
    if (text.size() < 3 || (text[0] != '<' && text[0] != '[' && text[0] != '_')) continue;
    if (among(text, kEndNames)) {
      token.end = true;
      token.type = TokenType::kControl;
      token.shown = token.text;
    }
    if (among(text, kVisibleNames)) {
      token.type = TokenType::kUserDefined;
      token.shown = token.text;
    }
  }
}

// Gives a token its role by its name, if the file has not given the role to any.
void Vocabulary::name_fill_token(std::string_view text, TokenId id) {
  if (text.find('<') > 3) return;
  for (const FillName& row : kFillNames)
    if (row.name == text && fill.*row.role == kNone) fill.*row.role = id;
}

// Keeps two names of the list above that do not end generation in some families: Harmony's
// "<|end|>" closes a message, and "</s>" is text where "<|tool_response>" exists (Gemma 4).
void Vocabulary::keep_harmony_end() {
  bool returns = false, calls = false, flush = false, tool = false;
  Token *end = nullptr, *sentence = nullptr;
  for (Token& token : tokens_) {
    if (!token.end) continue;
    std::string_view text = view(token.text);
    returns = returns || text == "<|return|>";
    calls = calls || text == "<|call|>" || text == "<|calls|>";
    flush = flush || text == "<|flush|>";
    tool = tool || text == "<|tool_response>";
    if (text == "<|end|>") end = &token;
    if (text == "</s>") sentence = &token;
  }
  if (end != nullptr && calls && (returns || flush)) {
    end->end = false;
    end->type = TokenType::kUserDefined;
  }
  if (sentence != nullptr && tool) {
    sentence->end = false;
    sentence->type = TokenType::kNormal;
  }
}

Result<void> Vocabulary::collect_special(const TokenizerConfig& config) {
  Vector<TokenId> ids;
  for (TokenId id = 0; id < size(); id++) {
    TokenType kind = type(id);
    bool special = kind == TokenType::kControl || kind == TokenType::kUserDefined ||
                   kind == TokenType::kUnknown;
    if (special) TRY(ids.push_back(id));
  }
  auto text_of = [this](TokenId id) { return view(tokens_[id].text); };
  // If texts are equal, the user-defined token stays, because it counts even where control tokens
  // do not.
  auto rank = [this](TokenId id) { return type(id) == TokenType::kUserDefined ? 0 : 1; };
  TRY(special_.build(std::move(ids), text_of, [&rank](TokenId a, TokenId b) {
    return rank(a) != rank(b) ? rank(a) < rank(b) : a < b;
  }));
  for (TokenId id : special_.ids()) special_first_[static_cast<u8>(text_of(id)[0])] = true;

  // Phi-3 was trained without the space after its markers. Only the model's name says so.
  bool phi3 = contains_ignoring_case(config.general_name, "phi-3") ||
              contains_ignoring_case(config.general_name, "phi3");
  constexpr std::string_view kKeepSpace[] = {"<unk>", "<s>", "<|endoftext|>"};
  for (TokenId id : special_.ids())
    tokens_[id].strip_right = phi3 && !among(text_of(id), kKeepSpace);
  return {};
}

TokenId Vocabulary::special_at(std::string_view text, ParseSpecial parse) const {
  TokenId best = kNone;
  special_.each(
      text, [this](TokenId id) { return view(tokens_[id].text); },
      [&](TokenId id, usize) {
        if (parse == ParseSpecial::kYes || type(id) == TokenType::kUserDefined) best = id;
      });
  return best;
}

bool Vocabulary::begins_special(std::string_view text) const {
  return special_.begins(text, [this](TokenId id) { return view(tokens_[id].text); });
}

}  // namespace ai
