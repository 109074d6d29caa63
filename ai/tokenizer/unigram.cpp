// SPDX-License-Identifier: GPL-2.0-or-later
// SentencePiece unigram models (T5 and its relatives): finds the segmentation with the best sum of
// scores.
//
// The file's character map first normalizes the text. It is a double array in the form of Kanda,
// "Space- and Time-Efficient String Dictionaries" (2018), as SentencePiece stores it.
#include "ai/tokenizer/algorithm.h"
#include "kernel/base/bytes.h"
#include "kernel/base/utf8.h"

namespace ai {
namespace {

constexpr std::string_view kSpaceMark = "\xe2\x96\x81";
constexpr double kUnknownPenalty = 10;  // subtracted from the worst score, as in SentencePiece

// Replaces prefixes, longest match first. The bytes come from the file, so each index is checked
// where it is used.
class CharacterMap {
 public:
  Result<void> load(std::span<const Byte> bytes);
  struct Match {
    std::string_view replacement;
    usize bytes = 0;  // bytes of text that it replaces; 0 = none
  };
  Match longest(std::string_view text) const;

 private:
  u32 node(u32 index) const {
    u64 at = u64{index} * sizeof(u32);
    return at + sizeof(u32) <= nodes_.size() ? base::load<u32>(nodes_.data() + at) : 0;
  }
  static u32 base_of(u32 node) { return (node >> 10) << ((node & (1u << 9)) >> 6); }
  static u32 label_of(u32 node) { return node & ((1u << 31) | 0xff); }
  static bool is_leaf(u32 node) { return (node >> 8 & 1) != 0; }

  Vector<Byte> bytes_;
  std::span<const Byte> nodes_;
  std::string_view texts_;  // each ends with a zero byte
};

Result<void> CharacterMap::load(std::span<const Byte> bytes) {
  if (bytes.empty()) return {};
  TRY(bytes_.append(bytes));
  base::ByteReader reader(bytes_.view());
  u32 size = TRY(reader.read<u32>());
  nodes_ = TRY(reader.read_bytes(size));
  texts_ = TRY(reader.read_text(reader.remaining()));
  if (texts_.empty() || texts_.back() != '\0')
    return fail(Errc::kCorrupt, "tokenizer.ggml.precompiled_charsmap has no end");
  return {};
}

CharacterMap::Match CharacterMap::longest(std::string_view text) const {
  Match match;
  if (nodes_.empty()) return match;
  u32 at = base_of(node(0));
  for (usize i = 0; i < text.size(); i++) {
    u8 c = static_cast<u8>(text[i]);
    if (c == 0) break;
    at ^= c;
    u32 here = node(at);
    if (label_of(here) != c) break;
    at ^= base_of(here);
    if (!is_leaf(here)) continue;
    u32 begin = node(at) & 0x7fffffff;
    if (begin >= texts_.size()) break;
    std::string_view rest = texts_.substr(begin);
    match = {rest.substr(0, rest.find('\0')), i + 1};
  }
  return match;
}

class Unigram final : public VocabularyTokenizer {
 public:
  Result<void> load(const TokenizerConfig& config, Platform& platform);

 protected:
  Result<void> encode_text(std::string_view text, bool after_special,
                           Vector<TokenId>& out) const override;

 private:
  struct Step {
    double score = -1e300;
    u32 from = 0;
    TokenId token = Vocabulary::kNone;
  };

  Result<void> normalize(std::string_view text, String& out) const;
  Result<void> search(std::string_view text, Vector<Step>& best) const;

  CharacterMap map_;
  PrefixIndex pieces_;
  double unknown_score_ = 0;
  bool add_space_prefix_ = false, merge_spaces_ = false;
};

Result<void> Unigram::load(const TokenizerConfig& config, Platform& platform) {
  VocabularyDefaults defaults{.spelling = Spelling::kEscapedSpace,
                              .bos = {},
                              .eos = 1,
                              .unknown = 2,
                              .separator = {},
                              .add_eos = true};
  add_space_prefix_ = config.add_space_prefix.value_or(false);
  merge_spaces_ = config.remove_extra_spaces.value_or(false);
  TRY(map_.load(config.charsmap.view()));
  TRY(vocabulary_.load(config, defaults, platform));
  Vector<TokenId> ids;
  float worst = 0;
  for (TokenId id = 0; id < vocabulary_.size(); id++) {
    TokenType type = vocabulary_.type(id);
    if (type == TokenType::kNormal) worst = std::min(worst, vocabulary_.score(id));
    if (type == TokenType::kNormal || type == TokenType::kUserDefined || type == TokenType::kUnused)
      TRY(ids.push_back(id));
  }
  unknown_score_ = worst - kUnknownPenalty;
  auto text_of = [this](TokenId id) { return vocabulary_.spelled(id); };
  return pieces_.build(std::move(ids), text_of, [](TokenId a, TokenId b) { return a < b; });
}

Result<void> Unigram::normalize(std::string_view text, String& out) const {
  bool inside_word = false, prefixed = false;
  while (!text.empty()) {
    CharacterMap::Match match = map_.longest(text);
    std::string_view piece = match.replacement;
    if (match.bytes == 0) {
      utf8::Decoded c = utf8::decode(text);
      piece = c.valid ? text.substr(0, c.bytes) : "\xef\xbf\xbd";
      match.bytes = c.bytes;
    }
    for (char c : piece) {
      if (c == ' ') {
        inside_word = false;
        if (!merge_spaces_) TRY(out.append(kSpaceMark));
        continue;
      }
      if (!inside_word && ((add_space_prefix_ && !prefixed) || merge_spaces_)) {
        TRY(out.append(kSpaceMark));
        prefixed = true;
      }
      inside_word = true;
      TRY(out.push_back(c));
    }
    text.remove_prefix(match.bytes);
  }
  return {};
}

// best[i] is the best way to cut the first i bytes.
Result<void> Unigram::search(std::string_view text, Vector<Step>& best) const {
  TRY(best.resize(text.size() + 1));
  best[0].score = 0;
  for (u32 at = 0; at < text.size();) {
    u32 character = utf8::decode(text.substr(at)).bytes;
    double base = best[at].score;
    bool whole_character = false;
    auto offer = [&](usize end, TokenId token, double score) {
      if (base + score > best[end].score) best[end] = {base + score, at, token};
    };
    pieces_.each(
        text.substr(at), [this](TokenId id) { return vocabulary_.spelled(id); },
        [&](TokenId id, usize bytes) {
          whole_character = whole_character || bytes == character;
          bool user = vocabulary_.type(id) == TokenType::kUserDefined;
          offer(at + bytes, id, user ? 0.0 : vocabulary_.score(id));
        });
    if (!whole_character) offer(at + character, vocabulary_.unknown, unknown_score_);
    at += character;
  }
  return {};
}

Result<void> Unigram::encode_text(std::string_view text, bool, Vector<TokenId>& out) const {
  String normal;
  TRY(normalize(text, normal));
  std::string_view whole = normal.view();
  if (whole.empty()) return {};
  if (whole.size() >= ~u32{0})
    return fail(Errc::kInvalidArgument, "the text is too long to be encoded");
  Vector<Step> best;
  TRY(search(whole, best));
  // Walks back from the end. A run of unknown characters is one unknown token.
  usize begin = out.size();
  bool after_unknown = false;
  for (usize at = whole.size(); at > 0; at = best[at].from) {
    bool unknown = best[at].token == vocabulary_.unknown;
    if (best[at].token != Vocabulary::kNone && !(unknown && after_unknown))
      TRY(out.push_back(best[at].token));
    after_unknown = unknown;
  }
  std::reverse(out.begin() + begin, out.end());
  return {};
}

}  // namespace

Result<base::Owner<Tokenizer>> make_unigram(const TokenizerConfig& config, Platform& platform) {
  return load_tokenizer(TRY(base::make<Unigram>()), config, platform);
}

}  // namespace ai
