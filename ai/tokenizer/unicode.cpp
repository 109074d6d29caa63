// SPDX-License-Identifier: GPL-2.0-or-later
// Looks up code points in the generated Unicode tables.
#include "ai/tokenizer/unicode.h"

#include <algorithm>
#include <span>

namespace ai::unicode {
namespace {

struct CodePair {
  u32 from, to;
};

#include "unicode_tables.inc"

constexpr u32 kBlock = 128;  // code points per block; the generator uses the same number
constexpr u8 kSpaceFlag = 0x80;

u32 mapped(std::span<const CodePair> pairs, u32 code) {
  auto at = std::lower_bound(pairs.begin(), pairs.end(), code,
                             [](const CodePair& pair, u32 value) { return pair.from < value; });
  return at != pairs.end() && at->from == code ? at->to : code;
}

}  // namespace

CategorySet class_of(u32 code) {
  if (code > kMaxCodePoint) return bit(Category::kCn);
  u8 entry = kClassBlocks[kClassIndex[code / kBlock] * kBlock + code % kBlock];
  CategorySet set = CategorySet{1} << (entry & 0x1f);
  return (entry & kSpaceFlag) != 0 ? set | kWhiteSpace : set;
}

u32 to_lower(u32 code) {
  if (code < 0x80) return code >= 'A' && code <= 'Z' ? code + 32 : code;
  return mapped(kToLower, code);
}

u32 to_upper(u32 code) {
  if (code < 0x80) return code >= 'a' && code <= 'z' ? code - 32 : code;
  return mapped(kToUpper, code);
}

u32 base_letter(u32 code) {
  // Hangul syllables are decomposed by arithmetic: 588 for each leading consonant (Unicode 3.12).
  if (code >= 0xac00 && code <= 0xd7a3) return 0x1100 + (code - 0xac00) / 588;
  return code < 0x80 ? code : mapped(kBaseLetter, code);
}

}  // namespace ai::unicode
