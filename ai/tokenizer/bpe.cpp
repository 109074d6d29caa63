// SPDX-License-Identifier: GPL-2.0-or-later
// Byte-pair encoding with ranked merges: the pre-tokenizer splits the text into words, whose bytes
// (or characters, if spaces are escaped) are joined in the order of the merges.
#include <bit>

#include "ai/tokenizer/algorithm.h"
#include "ai/tokenizer/byte_level.h"
#include "ai/tokenizer/merge.h"
#include "ai/tokenizer/pretokenize.h"

namespace ai {
namespace {

constexpr std::string_view kSpaceMark = "\xe2\x96\x81";
constexpr u32 kMaxProbes = 4096;  // as in the vocabulary: only files made to collide need more

// Merges by rank, found by the pair of tokens that they join.
class MergeTable {
 public:
  Result<void> load(const TokenizerConfig& config, const Vocabulary& vocabulary, Spelling spelling,
                    Platform& platform);
  MergePair pair(const MergeSymbol& left, const MergeSymbol& right) const;
  usize memory_bytes() const {
    return merges_.capacity() * sizeof(Merge) + index_.capacity() * sizeof(u32);
  }

 private:
  struct Merge {
    TokenId left, right, joined;
  };
  static constexpr u32 kFree = ~u32{0};

  usize slot(TokenId left, TokenId right) const {
    u64 h = (u64{left} << 32 | right) * 0x9e3779b97f4a7c15;
    return (h ^ h >> 29) & (index_.size() - 1);
  }
  Result<void> insert(u32 rank);

  Vector<Merge> merges_;  // indexed by rank
  Vector<u32> index_;     // open addressing
};

Result<TokenId> find_half(std::string_view text, const Vocabulary& vocabulary, Spelling spelling,
                          String& joined) {
  usize begin = joined.size();
  if (spelling == Spelling::kEscapedSpace) {
    TRY(joined.append(text));
  } else if (!TRY(append_bytes(text, joined))) {
    return Vocabulary::kNone;
  }
  return vocabulary.find(joined.view().substr(begin));
}

Result<void> MergeTable::load(const TokenizerConfig& config, const Vocabulary& vocabulary,
                              Spelling spelling, Platform& platform) {
  usize count = config.merges.size();
  if (count >= kFree / 4) return fail(Errc::kCorrupt, "tokenizer.ggml.merges is too long");
  TRY(merges_.reserve(count));
  TRY(index_.resize(std::bit_ceil(std::max<usize>(count, 1) * 2)));
  std::fill(index_.begin(), index_.end(), kFree);
  u32 unusable = 0;
  String joined;
  for (usize i = 0; i < count; i++) {
    if (i % kTextsPerBreath == 0) platform.breathe();
    std::string_view text = config.merges[i];
    usize space = text.find(' ', 1);
    Merge merge{Vocabulary::kNone, Vocabulary::kNone, Vocabulary::kNone};
    joined.clear();
    if (space != std::string_view::npos) {
      merge.left = TRY(find_half(text.substr(0, space), vocabulary, spelling, joined));
      merge.right = TRY(find_half(text.substr(space + 1), vocabulary, spelling, joined));
      merge.joined = vocabulary.find(joined.view());
    }
    bool usable = merge.left != Vocabulary::kNone && merge.right != Vocabulary::kNone &&
                  merge.joined != Vocabulary::kNone;
    if (!usable) {
      unusable++;
      continue;
    }
    TRY(merges_.push_back(merge));
    TRY(insert(static_cast<u32>(merges_.size() - 1)));
  }
  if (unusable > 0)
    log(platform, LogLevel::kWarn, "tokenizer: {} of {} merges name no tokens and are left out",
        unusable, count);
  return {};
}

Result<void> MergeTable::insert(u32 rank) {
  const Merge& merge = merges_[rank];
  usize at = slot(merge.left, merge.right);
  for (u32 probe = 0; probe < kMaxProbes; probe++) {
    if (index_[at] == kFree) {
      index_[at] = rank;
      return {};
    }
    const Merge& other = merges_[index_[at]];
    if (other.left == merge.left && other.right == merge.right) return {};  // the first wins
    at = (at + 1) & (index_.size() - 1);
  }
  return fail(Errc::kCorrupt,
              "tokenizer.ggml.merges collide too often: the file is damaged or hostile");
}

MergePair MergeTable::pair(const MergeSymbol& left, const MergeSymbol& right) const {
  for (usize at = slot(left.token, right.token); index_[at] != kFree;
       at = (at + 1) & (index_.size() - 1)) {
    const Merge& merge = merges_[index_[at]];
    if (merge.left == left.token && merge.right == right.token) return {index_[at], merge.joined};
  }
  return {};
}

class Bpe final : public VocabularyTokenizer {
 public:
  explicit Bpe(const PreTokenizer& pre) : pre_(pre) {}
  Result<void> load(const TokenizerConfig& config, Platform& platform);
  usize memory_bytes() const override {
    return vocabulary_.memory_bytes() + merges_.memory_bytes();
  }

 protected:
  Result<void> encode_text(std::string_view text, bool after_special,
                           Vector<TokenId>& out) const override;

 private:
  Result<void> encode_word(std::string_view word, Merger<MergeTable>& merger,
                           Vector<TokenId>& out) const;
  Result<void> add_characters(std::string_view word, Merger<MergeTable>& merger) const;

  const PreTokenizer& pre_;
  MergeTable merges_;
};

Result<void> Bpe::load(const TokenizerConfig& config, Platform& platform) {
  // Readers of GGUF assume 11 if a file of this kind names neither BOS nor EOS.
  VocabularyDefaults defaults{
      .spelling = pre_.escape_spaces ? Spelling::kEscapedSpace : Spelling::kByteLevel,
      .bos = 11,
      .eos = 11,
      .unknown = {},
      .separator = {},
      .add_bos = pre_.add_bos};
  if (pre_.escape_spaces) defaults.bos = defaults.eos = {};
  TRY(vocabulary_.load(config, defaults, platform));
  return merges_.load(config, vocabulary_, defaults.spelling, platform);
}

// Escapes spaces if the vocabulary needs it, and replaces invalid UTF-8.
Result<void> normalize(std::string_view text, bool escape_spaces, String& out) {
  while (!text.empty()) {
    utf8::Decoded c = utf8::decode(text);
    char bytes[4];
    std::string_view piece = c.valid ? text.substr(0, c.bytes)
                                     : std::string_view(bytes, utf8::encode(c.code_point, bytes));
    TRY(out.append(escape_spaces && piece == " " ? kSpaceMark : piece));
    text.remove_prefix(c.bytes);
  }
  return {};
}

Result<void> Bpe::encode_text(std::string_view text, bool, Vector<TokenId>& out) const {
  String normal;
  if (pre_.escape_spaces || !utf8::valid(text)) {
    TRY(normalize(text, pre_.escape_spaces, normal));
    text = normal.view();
  }
  Merger<MergeTable> merger(merges_);
  return for_each_word(pre_.passes, text, 0, text.size(), [&](usize begin, usize end) {
    return encode_word(text.substr(begin, end - begin), merger, out);
  });
}

Result<void> Bpe::encode_word(std::string_view word, Merger<MergeTable>& merger,
                              Vector<TokenId>& out) const {
  bool whole = pre_.whole_words ||
               (pre_.whole_breaks && word.find_first_not_of('\n') == std::string_view::npos);
  TokenId token = whole || word.size() == 1 ? vocabulary_.find(word) : Vocabulary::kNone;
  if (token != Vocabulary::kNone) return out.push_back(token);
  merger.clear();
  TRY(add_characters(word, merger));
  TRY(merger.run());
  for (const MergeSymbol& symbol : merger.symbols()) {
    if (symbol.token != Vocabulary::kNone) {
      TRY(out.push_back(symbol.token));
      continue;
    }
    // A character without a token becomes the tokens of its bytes. Bytes without one are left out.
    for (char c : word.substr(symbol.begin, symbol.size)) {
      TokenId byte = vocabulary_.byte_token(static_cast<u8>(c));
      if (byte != Vocabulary::kNone) TRY(out.push_back(byte));
    }
  }
  return {};
}

Result<void> Bpe::add_characters(std::string_view word, Merger<MergeTable>& merger) const {
  if (word.size() >= ~u32{0})
    return fail(Errc::kInvalidArgument, "the text is too long to be encoded");
  for (u32 at = 0; at < word.size();) {
    u32 bytes = pre_.escape_spaces ? utf8::decode(word.substr(at)).bytes : 1;
    TokenId token = pre_.escape_spaces ? vocabulary_.find(word.substr(at, bytes))
                                       : vocabulary_.byte_token(static_cast<u8>(word[at]));
    TRY(merger.add({.begin = at, .size = bytes, .token = token, .with_next = {}}));
    at += bytes;
  }
  return {};
}

}  // namespace

Result<base::Owner<Tokenizer>> make_bpe(const TokenizerConfig& config, Platform& platform) {
  std::string_view name = config.model == "gemma4" ? "gemma4"
                          : config.pre.empty()     ? "default"
                                                   : config.pre;
  auto pre = find_pre_tokenizer(name);
  if (!pre.has_value()) {
    log(platform, LogLevel::kError, "tokenizer.ggml.pre: unknown pre-tokenizer '{}'", name);
    return std::unexpected(pre.error());
  }
  if (config.merges.empty()) {
    log(platform, LogLevel::kError, "tokenizer.ggml.merges is missing or empty");
    return fail(Errc::kCorrupt, "tokenizer.ggml.merges is missing or empty");
  }
  return load_tokenizer(TRY(base::make<Bpe>(**pre)), config, platform);
}

}  // namespace ai
