// SPDX-License-Identifier: GPL-2.0-or-later
// The scanners that pre-tokenizers are made of.
//
// Each scanner has the regular expression that it implements as its comment. Some expressions
// distinguish upper from lower case outside ASCII (tekken, gpt-4o). There this follows the
// convention of GGUF readers: a letter outside ASCII counts as both.
#include "ai/tokenizer/scanners.h"

#include <algorithm>
#include <iterator>

#include "kernel/base/utf8.h"

namespace ai {

using namespace unicode;

Run::Char Run::at(usize position) const {
  if (position >= end_) return {};
  u8 lead = static_cast<u8>(text_[position]);
  if (lead < 0x80) return {lead, 1, class_of(lead)};
  utf8::Decoded c = utf8::decode(text_.substr(position, end_ - position));
  return {c.code_point, c.bytes, class_of(c.code_point)};
}

Run::Char Run::before(usize position) const {
  if (position <= begin_) return {};
  usize at = position - 1;
  while (at > begin_ && position - at < 4 && (static_cast<u8>(text_[at]) & 0xc0) == 0x80) at--;
  return this->at(at);
}

usize Run::digits_end(usize position) const {
  if (position >= digits_begin_ && position < digits_end_) return digits_end_;
  digits_begin_ = digits_end_ = position;
  while (digits_end_ < end_ && text_[digits_end_] >= '0' && text_[digits_end_] <= '9')
    digits_end_++;
  return digits_end_;
}

u64 Run::numbers_left(usize position) const {
  if (position < numbers_at_ || position >= numbers_end_) {
    numbers_at_ = numbers_end_ = position;
    numbers_left_ = 0;
    for (Char c = at(numbers_end_); c.is(kNumber); c = at(numbers_end_)) {
      numbers_end_ += c.bytes;
      numbers_left_++;
    }
  }
  for (; numbers_at_ < position; numbers_left_--) numbers_at_ += at(numbers_at_).bytes;
  return numbers_left_;
}

usize Run::breaks_end(usize position) const {
  if (position < spaces_begin_ || position >= spaces_end_) {
    spaces_begin_ = spaces_end_ = breaks_end_ = position;
    for (Char c = at(spaces_end_); c.is(kWhiteSpace); c = at(spaces_end_)) {
      spaces_end_ += c.bytes;
      if (c.is('\r') || c.is('\n')) breaks_end_ = spaces_end_;
    }
  }
  return std::max(position, breaks_end_);
}

namespace scan {
namespace {

using Char = Run::Char;

constexpr CategorySet kLetterOrMark = kLetter | kMark;
constexpr CategorySet kWordOrSpace = kWhiteSpace | kLetter | kNumber;

bool is_newline(const Char& c) {
  return c.is('\r') || c.is('\n');
}
// Returns true for a character that is in no class of the set. The end of the run is no character.
bool is_none_of(const Char& c, CategorySet set) {
  return c.bytes > 0 && !c.is(set);
}
bool is_ascii_letter(const Char& c) {
  return c.code < 0x80 && c.is(kLetter);
}
char folded(const Char& c) {
  return c.code < 0x80 ? static_cast<char>(c.code | 0x20) : '\0';
}

template <class Wanted>
usize skip_while(const Run& run, usize at, Wanted&& wanted) {
  for (Char c = run.at(at); c.bytes > 0 && wanted(c); c = run.at(at)) at += c.bytes;
  return at;
}
usize skip_set(const Run& run, usize at, CategorySet set) {
  return skip_while(run, at, [set](const Char& c) { return c.is(set); });
}
// Skips at most `most` characters of the set.
usize skip_some(const Run& run, usize at, CategorySet set, u32 most) {
  for (Char c = run.at(at); most > 0 && c.is(set); c = run.at(at), most--) at += c.bytes;
  return at;
}

}  // namespace

// ---- contractions --------------------------------------------------------------------------

static usize contraction(const Run& run, usize at, bool any_case) {
  if (!run.at(at).is('\'')) return at;
  auto letter = [&](usize position) {
    Char c = run.at(position);
    char f = folded(c);
    return any_case || c.code == static_cast<u8>(f) ? f : '\0';
  };
  char first = letter(at + 1);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return at + 2;
  char second = letter(at + 2);
  bool two = (first == 'r' && second == 'e') || (first == 'v' && second == 'e') ||
             (first == 'l' && second == 'l');
  return two ? at + 3 : at;
}
// 's|'t|'re|'ve|'m|'ll|'d
usize lower_contraction(const Run& run, usize at) {
  return contraction(run, at, false);
}
// (?i:'s|'t|'re|'ve|'m|'ll|'d)
usize any_contraction(const Run& run, usize at) {
  return contraction(run, at, true);
}

// ---- words ---------------------------------------------------------------------------------

// Implements " ?[set]+" for a set given by `wanted`. Returns `at` if nothing matches.
template <class Wanted>
static usize after_space(const Run& run, usize at, Wanted&& wanted) {
  usize begin = run.at(at).is(' ') ? at + 1 : at;
  usize end = skip_while(run, begin, wanted);
  return end > begin ? end : at;
}
// " ?\p{L}+"
usize spaced_letters(const Run& run, usize at) {
  return after_space(run, at, [](const Char& c) { return c.is(kLetter); });
}
// " ?\p{N}+"
usize spaced_numbers(const Run& run, usize at) {
  return after_space(run, at, [](const Char& c) { return c.is(kNumber); });
}
// " ?[^\s\p{L}\p{N}]+"
usize spaced_others(const Run& run, usize at) {
  return after_space(run, at, [](const Char& c) { return is_none_of(c, kWordOrSpace); });
}
// " ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
usize spaced_others_no_marks_lines(const Run& run, usize at) {
  usize end =
      after_space(run, at, [](const Char& c) { return is_none_of(c, kWordOrSpace | kMark); });
  return end == at ? at : skip_while(run, end, is_newline);
}
// " ?[^\s\p{L}\p{N}]+[\r\n]*"
usize spaced_others_lines(const Run& run, usize at) {
  usize end = spaced_others(run, at);
  return end == at ? at : skip_while(run, end, is_newline);
}
// " ?[^\s\p{L}\p{N}]+[\r\n/]*"
usize spaced_others_lines_slash(const Run& run, usize at) {
  usize end = spaced_others(run, at);
  auto tail = [](const Char& c) { return is_newline(c) || c.is('/'); };
  return end == at ? at : skip_while(run, end, tail);
}
// " ?[^\s\p{L}\p{N}]+[\r\n/]?"
usize spaced_others_one_tail(const Run& run, usize at) {
  usize end = spaced_others(run, at);
  Char c = run.at(end);
  return end != at && (is_newline(c) || c.is('/')) ? end + 1 : end;
}

// Implements "prefix?[set]+", where a character of the set may be the prefix.
template <class Prefix>
static usize prefixed(const Run& run, usize at, Prefix&& prefix, CategorySet set) {
  Char c = run.at(at);
  if (c.bytes > 0 && prefix(c)) {
    usize begin = at + c.bytes;
    usize end = skip_set(run, begin, set);
    if (end > begin) return end;
  }
  return skip_set(run, at, set);
}
// [^\r\n\p{L}\p{N}]
static bool is_word_prefix(const Char& c) {
  return !is_newline(c) && !c.is(kLetter | kNumber);
}
// [^\r\n\p{L}\p{N}]?\p{L}+
usize prefixed_letters(const Run& run, usize at) {
  return prefixed(run, at, is_word_prefix, kLetter);
}
// [^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+
usize prefixed_letters_marks(const Run& run, usize at) {
  return prefixed(run, at, is_word_prefix, kLetterOrMark);
}
// [^\r
// \p{L}\p{N}]?[\p{L}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?
usize prefixed_letters_marks_contraction(const Run& run, usize at) {
  usize end = prefixed_letters_marks(run, at);
  return end == at ? at : any_contraction(run, end);
}

// Matches upper*lower+, or upper+lower* if that fails. A letter outside ASCII counts as both cases.
static usize cased(const Run& run, usize at, CategorySet letters) {
  auto upper = [letters](const Char& c) {
    return c.is(letters) && !(c.code >= 'a' && c.code <= 'z');
  };
  auto lower = [letters](const Char& c) {
    return c.is(letters) && !(c.code >= 'A' && c.code <= 'Z');
  };
  usize end = at, last_both = at;
  for (Char c = run.at(end); c.bytes > 0 && upper(c); c = run.at(end)) {
    end += c.bytes;
    if (lower(c)) last_both = end;
  }
  if (lower(run.at(end))) return skip_while(run, end, lower);
  // The longest upper* leaves nothing for lower+, so it gives back the last letter that is both.
  return last_both > at ? last_both : end;
}
template <CategorySet kLetters>
static usize prefixed_cased_of(const Run& run, usize at) {
  Char c = run.at(at);
  if (c.bytes > 0 && is_word_prefix(c)) {
    usize begin = at + c.bytes;
    usize end = cased(run, begin, kLetters);
    if (end > begin) return end;
  }
  return cased(run, at, kLetters);
}
usize prefixed_cased(const Run& run, usize at) {
  return prefixed_cased_of<kLetter>(run, at);
}
usize prefixed_cased_contraction(const Run& run, usize at) {
  usize end = prefixed_cased_of<kLetter>(run, at);
  return end == at ? at : any_contraction(run, end);
}
usize prefixed_cased_marks_contraction(const Run& run, usize at) {
  usize end = prefixed_cased_of<kLetterOrMark>(run, at);
  return end == at ? at : any_contraction(run, end);
}

// [^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+
usize prefixed_phrase(const Run& run, usize at) {
  auto phrase = [&run](usize begin) {
    usize end = begin;
    for (;;) {
      usize next = end > begin && run.at(end).is(' ') ? end + 1 : end;
      Char c = run.at(next);
      if (!c.is(kLetter)) return end;
      end = skip_set(run, next + c.bytes, kMark);
    }
  };
  Char c = run.at(at);
  if (c.bytes > 0 && is_word_prefix(c)) {
    usize end = phrase(at + c.bytes);
    if (end > at + c.bytes) return end;
  }
  return phrase(at);
}

// ---- numbers -------------------------------------------------------------------------------

usize one_number(const Run& run, usize at) {
  return skip_some(run, at, kNumber, 1);
}
usize three_numbers(const Run& run, usize at) {
  return skip_some(run, at, kNumber, 3);
}
usize numbers(const Run& run, usize at) {
  return skip_set(run, at, kNumber);
}
// [0-9][0-9][0-9]
usize three_digits(const Run& run, usize at) {
  return run.digits_end(at) - at >= 3 ? at + 3 : at;
}
// (?=(\d{3})+(?!\d)): groups of three, counted from the right
usize right_aligned_digits(const Run& run, usize at) {
  usize count = run.digits_end(at) - at;
  return count > 0 && count % 3 == 0 ? at + 3 : at;
}
// Implements \d{1,3}(?=(?:\d{3})*\b) as GGUF readers do: \p{N}{1,3}, in groups of three from the
// right, with the text before them in one piece with the first group.
usize right_aligned_numbers(const Run& run, usize at) {
  usize end = skip_while(run, at, [](const Char& c) { return c.bytes > 0 && !c.is(kNumber); });
  u64 count = run.numbers_left(end);
  if (count == 0) return end;
  return skip_some(run, end, kNumber, count % 3 == 0 ? 3 : static_cast<u32>(count % 3));
}

// ---- white space ---------------------------------------------------------------------------

// \s*[\r\n]+
usize lines(const Run& run, usize at) {
  return run.breaks_end(at);
}
// "\s+(?!\S)": all but the last of the spaces before a word
usize spaces_before_last(const Run& run, usize at) {
  usize end = at, previous = at;
  Char c = run.at(end);
  while (c.is(kWhiteSpace)) {
    previous = end;
    end += c.bytes;
    c = run.at(end);
  }
  return c.bytes == 0 ? end : previous;
}
// \s+
usize spaces(const Run& run, usize at) {
  return skip_set(run, at, kWhiteSpace);
}
// Implements "\s+$". It is searched from left to right, so only the first of a run of spaces can
// begin a match.
usize final_spaces(const Run& run, usize at) {
  if (run.before(at).is(kWhiteSpace)) return at;
  usize end = spaces(run, at);
  return end == run.end() ? end : at;
}
// \s{512}(?!\S)|\s{256}(?!\S)| … |\s{4}(?!\S)|\s{1,2}(?!\S)|\s
usize spaces_in_powers(const Run& run, usize at) {
  for (u32 count = 512; count >= 1; count = count == 4 ? 2 : count / 2) {
    usize end = at;
    u32 found = 0;
    for (Char c = run.at(end); found < count && c.is(kWhiteSpace); c = run.at(end), found++)
      end += c.bytes;
    Char next = run.at(end);
    if (found == count && (next.bytes == 0 || next.is(kWhiteSpace))) return end;
  }
  return skip_some(run, at, kWhiteSpace, 1);
}
// [\r\n]
usize one_newline(const Run& run, usize at) {
  return is_newline(run.at(at)) ? at + 1 : at;
}
// [^\n]+|[\n]+
usize line_or_breaks(const Run& run, usize at) {
  bool breaks = run.at(at).is('\n');
  return skip_while(run, at, [breaks](const Char& c) { return c.is('\n') == breaks; });
}

// ---- punctuation ---------------------------------------------------------------------------

static bool is_math(const Char& c) {
  return c.code < 0x80 &&
         std::string_view("$+<=>^~|").find(static_cast<char>(c.code)) != std::string_view::npos;
}
// [\p{P}\$\+<=>\^~\|]+
usize punctuation_math(const Run& run, usize at) {
  return skip_while(run, at, [](const Char& c) { return c.is(kPunctuation) || is_math(c); });
}
// [\p{P}\$\+<=>\^~\|`]+
usize punctuation_math_tick(const Run& run, usize at) {
  return skip_while(run, at,
                    [](const Char& c) { return c.is(kPunctuation) || is_math(c) || c.is('`'); });
}
static bool is_punctuation_or_symbol(const Char& c) {
  return c.is(kPunctuation | kSymbol);
}
// [!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+
usize marked_ascii_word(const Run& run, usize at) {
  Char c = run.at(at);
  if (c.code >= 0x80 || !c.is(kPunctuation | kSymbol)) return at;
  usize end = skip_while(run, at + 1, is_ascii_letter);
  return end > at + 1 ? end : at;
}
// [^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+
usize unmarked_letters(const Run& run, usize at) {
  auto prefix = [](const Char& c) {
    return !is_newline(c) && !c.is(kLetter) && !is_punctuation_or_symbol(c);
  };
  return prefixed(run, at, prefix, kLetterOrMark);
}
// " ?[\p{P}\p{S}]+"
usize spaced_marks(const Run& run, usize at) {
  return after_space(run, at, is_punctuation_or_symbol);
}
// " ?[\p{P}\p{S}]+[\r\n]*"
usize spaced_marks_lines(const Run& run, usize at) {
  usize end = spaced_marks(run, at);
  return end == at ? at : skip_while(run, end, is_newline);
}
// " ?[^(\s|.,!?…。，、।۔،)]+"
usize spaced_between_stops(const Run& run, usize at) {
  constexpr u32 kStops[] = {'(',    '|',    '.',    ',',    '!',    '?',   ')',
                            0x2026, 0x3002, 0xff0c, 0x3001, 0x0964, 0x6d4, 0x60c};
  return after_space(run, at, [&](const Char& c) {
    return !c.is(kWhiteSpace) &&
           std::find(std::begin(kStops), std::end(kStops), c.code) == std::end(kStops);
  });
}

// ---- scripts -------------------------------------------------------------------------------

namespace {

struct Range {
  u32 first, last;
};
bool within(const Char& c, std::span<const Range> ranges) {
  if (c.is(kWhiteSpace)) return false;
  return std::any_of(ranges.begin(), ranges.end(),
                     [&c](Range r) { return c.code >= r.first && c.code <= r.last; });
}
usize skip_ranges(const Run& run, usize at, std::span<const Range> ranges) {
  return skip_while(run, at, [ranges](const Char& c) { return within(c, ranges); });
}
// Implements "\s?X+": any one white space may precede.
template <class Wanted>
usize after_any_space(const Run& run, usize at, Wanted&& wanted) {
  Char c = run.at(at);
  usize begin = c.is(kWhiteSpace) ? at + c.bytes : at;
  usize end = skip_while(run, begin, wanted);
  return end > begin ? end : at;
}

}  // namespace

// [一-龥ࠀ-一가-퟿]+
usize east_asian(const Run& run, usize at) {
  static constexpr Range kRanges[] = {{0x0800, 0x9fa5}, {0xac00, 0xd7ff}};
  return skip_ranges(run, at, kRanges);
}
// [一-龥぀-ゟ゠-ヿ]+
usize han_kana(const Run& run, usize at) {
  static constexpr Range kRanges[] = {{0x4e00, 0x9fa5}, {0x3040, 0x30ff}};
  return skip_ranges(run, at, kRanges);
}
// Matches the scripts of South-East and East Asia that AFMoE separates from other letters.
usize asian(const Run& run, usize at) {
  static constexpr Range kRanges[] = {
      {0x4e00, 0x9fff}, {0x3400, 0x4dbf}, {0xf900, 0xfaff}, {0x3040, 0x30ff}, {0xff65, 0xff9f},
      {0x2f00, 0x2fdf}, {0x0e40, 0x0eff}, {0x1780, 0x17ff}, {0x1000, 0x109f}, {0xaa60, 0xaa7f},
      {0xa9e0, 0xa9ff}, {0xac00, 0xd7af}, {0x1100, 0x11ff}};
  return skip_ranges(run, at, kRanges);
}
// [가-힣ㄱ-ㆎ]+
usize hangul(const Run& run, usize at) {
  static constexpr Range kRanges[] = {{0xac00, 0xd7a3}, {0x3131, 0x318e}};
  return skip_ranges(run, at, kRanges);
}
// [ㄅ-ㄯ]+
usize bopomofo(const Run& run, usize at) {
  static constexpr Range kRanges[] = {{0x3105, 0x312f}};
  return skip_ranges(run, at, kRanges);
}
// [！…“”‘’—：；，、-〿︰-﹏]+
usize wide_stops(const Run& run, usize at) {
  static constexpr Range kRanges[] = {{0xff01, 0xff01}, {0x2026, 0x2026}, {0x201c, 0x201d},
                                      {0x2018, 0x2019}, {0x2014, 0x2014}, {0xff1a, 0xff1b},
                                      {0xff0c, 0xff0c}, {0x3001, 0x303f}, {0xfe30, 0xfe4f}};
  return skip_ranges(run, at, kRanges);
}
// "\s?\p{L}+"
usize any_spaced_letters(const Run& run, usize at) {
  return after_any_space(run, at, [](const Char& c) { return c.is(kLetter); });
}
// "\s?\p{P}+"
usize any_spaced_punctuation(const Run& run, usize at) {
  return after_any_space(run, at, [](const Char& c) { return c.is(kPunctuation); });
}
// Matches DeepSeek LLM's list of letters: those with case, without the blocks that it does not
// name.
usize any_spaced_cased(const Run& run, usize at) {
  static constexpr Range kLeftOut[] = {{0x560, 0x588},     {0x10c7, 0x10ff},   {0x1c80, 0x1c88},
                                       {0x2d00, 0x2d2d},   {0xa790, 0xa7fa},   {0xab30, 0xab68},
                                       {0x10570, 0x105bc}, {0x16e40, 0x1e8ff}, {0x1e944, ~0u}};
  constexpr CategorySet kCased = bit(Category::kLl) | bit(Category::kLt) | bit(Category::kLu);
  return after_any_space(run, at,
                         [](const Char& c) { return c.is(kCased) && !within(c, kLeftOut); });
}
// "\s?[!-/:-~！-／：-～‘-‟　-。]+"
usize any_spaced_marks(const Run& run, usize at) {
  static constexpr Range kRanges[] = {{0x21, 0x2f},     {0x3a, 0x7e},     {0xff01, 0xff0f},
                                      {0xff1a, 0xff5e}, {0x2018, 0x201f}, {0x3000, 0x3002}};
  return after_any_space(run, at, [](const Char& c) { return within(c, kRanges); });
}

}  // namespace scan
}  // namespace ai
