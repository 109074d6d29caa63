// SPDX-License-Identifier: GPL-2.0-or-later
// The generated Unicode tables, at points that the tokenizers rely on.
#include "ai/tokenizer/unicode.h"
#include "ai/tokenizer/pretokenize.h"
#include "kernel/base/test.h"

using namespace ai::unicode;

TEST(unicode, categories) {
  EXPECT_EQ(class_of('a'), bit(Category::kLl));
  EXPECT_EQ(class_of(' '), bit(Category::kZs) | kWhiteSpace);
  EXPECT_EQ(class_of('\n'), bit(Category::kCc) | kWhiteSpace);
  EXPECT_EQ(class_of(0x4e00), bit(Category::kLo));    // first of a range
  EXPECT_EQ(class_of(0x9fa5), bit(Category::kLo));    // inside it
  EXPECT_EQ(class_of(0x1d400), bit(Category::kLu));   // beyond the BMP
  EXPECT_EQ(class_of(0x10fffd), bit(Category::kCo));  // the last private use
  EXPECT_EQ(class_of(0x10ffff), bit(Category::kCn));
  EXPECT_EQ(class_of(0x110000), bit(Category::kCn));
  EXPECT_EQ(class_of(~0u), bit(Category::kCn));
  EXPECT((class_of(0x0301) & kMark) != 0);
  EXPECT((class_of(0x00bd) & kNumber) != 0);
  EXPECT((class_of(0x2028) & kWhiteSpace) != 0);
  EXPECT((class_of(0x200b) & kWhiteSpace) == 0);
}

TEST(unicode, every_code_point_has_one_category) {
  u32 spaces = 0;
  for (u32 code = 0; code <= kMaxCodePoint; code++) {
    CategorySet set = class_of(code) & ~kWhiteSpace;
    REQUIRE(set != 0 && (set & (set - 1)) == 0);
    spaces += (class_of(code) & kWhiteSpace) != 0 ? 1 : 0;
  }
  EXPECT_EQ(spaces, 25u);  // PropList's White_Space
}

TEST(unicode, case_and_base) {
  EXPECT_EQ(to_lower('Z'), u32{'z'});
  EXPECT_EQ(to_lower(0xc9), 0xe9u);
  EXPECT_EQ(to_upper(0x3c9), 0x3a9u);
  EXPECT_EQ(to_upper('1'), u32{'1'});
  EXPECT_EQ(base_letter(0xe9), u32{'e'});
  EXPECT_EQ(base_letter(0x1eaf), u32{'a'});  // decomposes twice
  EXPECT_EQ(base_letter('x'), u32{'x'});
  EXPECT_EQ(base_letter(0xac00), 0x1100u);  // Hangul: the leading consonant
  EXPECT_EQ(base_letter(0xd7a3), 0x1112u);
}

TEST(unicode, every_pre_tokenizer_cuts_without_loss) {
  constexpr std::string_view kText =
      " I'm 12345 \xc3\xa9\xcc\x81\xe4\xb8\x96\xe7\x95\x8c!?\n\n  x\t\r\n~~ \xe3\x80\x80 \xff\xfe "
      "99";
  for (usize i = 0; i < ai::pre_tokenizer_count(); i++) {
    auto pre = ai::find_pre_tokenizer(ai::pre_tokenizer_name(i));
    REQUIRE(pre.has_value());
    usize at = 0;
    auto cut = ai::for_each_word((*pre)->passes, kText, 0, kText.size(),
                                 [&](usize begin, usize end) -> Result<void> {
                                   EXPECT(begin == at && end > begin);
                                   at = end;
                                   return {};
                                 });
    EXPECT(cut.has_value());
    EXPECT_EQ(at, kText.size());
  }
}
