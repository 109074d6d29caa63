// SPDX-License-Identifier: GPL-2.0-or-later
// The Unicode properties that tokenizers and templates need: general categories (UAX #44), simple
// case mappings and base letters. UTF-8 itself is in kernel/base/utf8.h.
#pragma once

#include "kernel/base/types.h"

namespace ai::unicode {

// The values must be those of scripts/gen_unicode.py.
enum class Category : u8 {
  kCn,
  kCc,
  kCf,
  kCo,
  kCs,
  kLl,
  kLm,
  kLo,
  kLt,
  kLu,
  kMc,
  kMe,
  kMn,
  kNd,
  kNl,
  kNo,
  kPc,
  kPd,
  kPe,
  kPf,
  kPi,
  kPo,
  kPs,
  kSc,
  kSk,
  kSm,
  kSo,
  kZl,
  kZp,
  kZs,
};

// A set of categories (bit = Category), plus white space, which is independent of the categories.
using CategorySet = u32;
constexpr CategorySet bit(Category c) {
  return CategorySet{1} << static_cast<u32>(c);
}
constexpr CategorySet bits(Category first, Category last) {
  return (bit(last) << 1) - bit(first);
}
constexpr CategorySet kOther = bits(Category::kCc, Category::kCs);  // \p{C} that is assigned
constexpr CategorySet kLetter = bits(Category::kLl, Category::kLu);
constexpr CategorySet kMark = bits(Category::kMc, Category::kMn);
constexpr CategorySet kNumber = bits(Category::kNd, Category::kNo);
constexpr CategorySet kPunctuation = bits(Category::kPc, Category::kPs);
constexpr CategorySet kSymbol = bits(Category::kSc, Category::kSo);
constexpr CategorySet kSeparator = bits(Category::kZl, Category::kZs);
constexpr CategorySet kWhiteSpace = CategorySet{1} << 31;

constexpr u32 kMaxCodePoint = 0x10ffff;

// Returns the bit of the category, with kWhiteSpace if it applies. Past the last code point it is
// Cn.
CategorySet class_of(u32 code);

// Simple (one to one) mappings. A code point without one maps to itself.
u32 to_lower(u32 code);
u32 to_upper(u32 code);
// Returns the first code point of the full canonical decomposition: "e" for "é".
u32 base_letter(u32 code);

}  // namespace ai::unicode
