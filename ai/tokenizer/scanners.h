// SPDX-License-Identifier: GPL-2.0-or-later
// Scanners: each implements one alternative of a pre-tokenizer's pattern by hand.
//
// A scanner returns the end of the match that begins at `at`, or `at` if there is none.
// scanners.cpp has their regular expressions.
#pragma once

#include <span>
#include <string_view>

#include "ai/tokenizer/unicode.h"

namespace ai {

// A run of text. Past its end, characters have no class and the code kEnd.
class Run {
 public:
  static constexpr u32 kEnd = ~u32{0};
  struct Char {
    u32 code = kEnd;
    u32 bytes = 0;
    unicode::CategorySet set = 0;
    bool is(unicode::CategorySet wanted) const { return (set & wanted) != 0; }
    bool is(char c) const { return code == static_cast<u8>(c); }
  };

  Run(std::string_view text, usize begin, usize end) : text_(text), begin_(begin), end_(end) {}
  Char at(usize position) const;
  // class and code are those of kEnd at the beginning of the run
  Char before(usize position) const;
  usize begin() const { return begin_; }
  usize end() const { return end_; }
  // Returns the end of the ASCII digits at `position`. The result is cached, so asking for each
  // digit of a long number costs no more than asking once.
  usize digits_end(usize position) const;
  // Returns how many characters of \p{N} follow from `position` on. Cached, too.
  u64 numbers_left(usize position) const;
  // Returns the end of the last line break in the white space from `position` on, or `position` if
  // there is none. Cached, too.
  usize breaks_end(usize position) const;

 private:
  std::string_view text_;
  usize begin_, end_;
  mutable usize digits_begin_ = 0, digits_end_ = 0;
  mutable usize numbers_at_ = 0, numbers_end_ = 0;
  mutable u64 numbers_left_ = 0;
  mutable usize spaces_begin_ = 0, spaces_end_ = 0, breaks_end_ = 0;
};

// One alternative of a pattern. Returns the end of the match that begins at `at`, or `at`.
using Scanner = usize (*)(const Run& run, usize at);

namespace scan {

usize lower_contraction(const Run& run, usize at);
usize any_contraction(const Run& run, usize at);
usize spaced_letters(const Run& run, usize at);
usize spaced_numbers(const Run& run, usize at);
usize spaced_others(const Run& run, usize at);
usize spaced_others_no_marks_lines(const Run& run, usize at);
usize spaced_others_lines(const Run& run, usize at);
usize spaced_others_lines_slash(const Run& run, usize at);
usize spaced_others_one_tail(const Run& run, usize at);
usize prefixed_letters(const Run& run, usize at);
usize prefixed_letters_marks(const Run& run, usize at);
usize prefixed_letters_marks_contraction(const Run& run, usize at);
usize prefixed_cased(const Run& run, usize at);
usize prefixed_cased_contraction(const Run& run, usize at);
usize prefixed_cased_marks_contraction(const Run& run, usize at);
usize prefixed_phrase(const Run& run, usize at);
usize one_number(const Run& run, usize at);
usize three_numbers(const Run& run, usize at);
usize numbers(const Run& run, usize at);
usize three_digits(const Run& run, usize at);
usize right_aligned_digits(const Run& run, usize at);
usize right_aligned_numbers(const Run& run, usize at);
usize lines(const Run& run, usize at);
usize spaces_before_last(const Run& run, usize at);
usize spaces(const Run& run, usize at);
usize final_spaces(const Run& run, usize at);
usize spaces_in_powers(const Run& run, usize at);
usize one_newline(const Run& run, usize at);
usize line_or_breaks(const Run& run, usize at);
usize punctuation_math(const Run& run, usize at);
usize punctuation_math_tick(const Run& run, usize at);
usize marked_ascii_word(const Run& run, usize at);
usize unmarked_letters(const Run& run, usize at);
usize spaced_marks(const Run& run, usize at);
usize spaced_marks_lines(const Run& run, usize at);
usize spaced_between_stops(const Run& run, usize at);
usize east_asian(const Run& run, usize at);
usize han_kana(const Run& run, usize at);
usize asian(const Run& run, usize at);
usize hangul(const Run& run, usize at);
usize bopomofo(const Run& run, usize at);
usize wide_stops(const Run& run, usize at);
usize any_spaced_letters(const Run& run, usize at);
usize any_spaced_punctuation(const Run& run, usize at);
usize any_spaced_cased(const Run& run, usize at);
usize any_spaced_marks(const Run& run, usize at);

}  // namespace scan
}  // namespace ai
