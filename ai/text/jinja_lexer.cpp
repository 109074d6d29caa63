// SPDX-License-Identifier: GPL-2.0-or-later
// The lexer: one pass over the source. It counts brackets, so that "}}" inside a dict does not end
// a tag.
#include "ai/text/jinja_lexer.h"

#include <optional>

#include "kernel/base/hex.h"
#include "kernel/base/utf8.h"

namespace ai::jinja {
namespace {

constexpr std::string_view kSpaces = " \t\n\v\f\r";
constexpr usize kMaxBrackets = 64;

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

class Lexer {
 public:
  Lexer(std::string_view source, Arena& arena, Reporter& reporter)
      : source_(source), arena_(arena), reporter_(reporter) {}

  Result<Vector<Token>> run();

 private:
  using Kind = Token::Kind;

  Result<void> text_until_tag();
  Result<void> comment();
  Result<void> tag(Kind begin, Kind end, std::string_view closing);
  Result<bool> raw_block();
  Result<void> inside(Kind end, std::string_view closing, bool& done);
  Result<void> number();
  Result<void> quoted();
  Result<void> escape(usize& at, usize end, char*& out);
  Result<void> operator_token();
  std::string_view before_tag(std::string_view text, char sign, bool keeps_lines) const;
  void after_end(bool strip, bool keep, bool trims);
  struct WordTag {
    char before, after;  // the signs at its brackets, or another character
    usize end;
  };
  std::optional<WordTag> word_tag(usize at, std::string_view word, std::string_view signs) const;

  std::string_view rest() const { return source_.substr(at_); }
  Result<void> push(Kind kind, std::string_view text, usize offset) {
    return tokens_.push_back({kind, static_cast<u32>(offset), text});
  }

  std::string_view source_;
  Arena& arena_;
  Reporter& reporter_;
  Vector<Token> tokens_;
  usize at_ = 0;
  StaticVector<char, kMaxBrackets> brackets_;
};

Result<Vector<Token>> Lexer::run() {
  while (at_ < source_.size()) {
    TRY(text_until_tag());
    if (rest().starts_with("{#")) {
      TRY(comment());
    } else if (rest().starts_with("{{")) {
      TRY(tag(Kind::kOutputBegin, Kind::kOutputEnd, "}}"));
    } else if (rest().starts_with("{%")) {
      if (!TRY(raw_block())) TRY(tag(Kind::kBlockBegin, Kind::kBlockEnd, "%}"));
    }
  }
  TRY(push(Kind::kEnd, {}, source_.size()));
  return std::move(tokens_);
}

// Reads the text up to the next tag, without what that tag's white space control removes.
Result<void> Lexer::text_until_tag() {
  usize begin = at_;
  usize end = begin;
  auto tag_at = [this](usize at) {
    return source_[at] == '{' && at + 1 < source_.size() &&
           std::string_view("{%#").find(source_[at + 1]) != std::string_view::npos;
  };
  while (end < source_.size() && !tag_at(end)) end++;
  at_ = end;
  std::string_view text = source_.substr(begin, end - begin);
  if (end < source_.size()) {
    char sign = end + 2 < source_.size() ? source_[end + 2] : '\0';
    text = before_tag(text, sign, source_[end + 1] == '{');
  }
  return text.empty() ? Result<void>{} : push(Kind::kText, text, begin);
}

// Returns a part of the source without what the tag behind it removes from its end: all white space
// if `sign` is "-"; otherwise the white space at the beginning of the tag's own line, unless "+" or
// `keeps_lines` says no.
std::string_view Lexer::before_tag(std::string_view text, char sign, bool keeps_lines) const {
  if (sign == '-') return text.substr(0, text.find_last_not_of(kSpaces) + 1);  // npos + 1 is 0
  if (sign == '+' || keeps_lines) return text;
  usize line = text.rfind('\n') + 1;
  usize begin = static_cast<usize>(text.data() - source_.data());
  bool line_start = line > 0 || begin == 0 || source_[begin - 1] == '\n';
  bool blank = text.find_first_not_of(kSpaces, line) == std::string_view::npos;
  return line_start && blank ? text.substr(0, line) : text;
}

// Skips what follows a tag: all white space after "-", or one line end if `trims` is set.
void Lexer::after_end(bool strip, bool keep, bool trims) {
  if (strip) {
    at_ = std::min(source_.find_first_not_of(kSpaces, at_), source_.size());
  } else if (trims && !keep && rest().starts_with('\n')) {
    at_++;
  }
}

Result<void> Lexer::comment() {
  usize end = source_.find("#}", at_ + 2);
  if (end == std::string_view::npos)
    return reporter_.fail(static_cast<u32>(at_), "this comment has no end");
  bool strip = end > at_ + 2 && source_[end - 1] == '-';
  bool keep = end > at_ + 2 && source_[end - 1] == '+';
  at_ = end + 2;
  after_end(strip, keep, true);
  return {};
}

// Returns the tag at `at` if it is {% word %}, with no other sign before "%}" than one of `signs`.
std::optional<Lexer::WordTag> Lexer::word_tag(usize at, std::string_view word,
                                              std::string_view signs) const {
  auto character = [this](usize i) { return i < source_.size() ? source_[i] : '\0'; };
  if (!source_.substr(at).starts_with("{%")) return {};
  WordTag tag{character(at + 2), '\0', 0};
  at += tag.before == '-' || tag.before == '+' ? 3 : 2;
  at = std::min(source_.find_first_not_of(kSpaces, at), source_.size());
  if (!source_.substr(at).starts_with(word)) return {};
  at = std::min(source_.find_first_not_of(kSpaces, at + word.size()), source_.size());
  tag.after = character(at);
  if (signs.find(tag.after) != std::string_view::npos) at++;
  tag.end = at + 2;
  if (!source_.substr(at).starts_with("%}")) return {};
  return tag;
}

// Reads {% raw %} … {% endraw %}, whose content is plain text. Returns false if this is another
// block. As in Jinja, the line end after {% raw %} stays.
Result<bool> Lexer::raw_block() {
  usize begin = at_;
  std::optional<WordTag> tag = word_tag(begin, "raw", "-");
  if (!tag) return false;
  at_ = tag->end;
  after_end(tag->after == '-', true, false);
  usize text_begin = at_;
  for (usize open = source_.find("{%", at_);; open = source_.find("{%", open + 2)) {
    if (open == std::string_view::npos)
      return reporter_.fail(static_cast<u32>(begin), "this raw block has no endraw");
    tag = word_tag(open, "endraw", "-+");
    if (!tag) continue;
    std::string_view text =
        before_tag(source_.substr(text_begin, open - text_begin), tag->before, false);
    if (!text.empty()) TRY(push(Kind::kText, text, text_begin));
    at_ = tag->end;
    after_end(tag->after == '-', tag->after == '+', true);
    return true;
  }
}

Result<void> Lexer::tag(Kind begin, Kind end, std::string_view closing) {
  usize offset = at_;
  TRY(push(begin, rest().substr(0, 2), offset));
  at_ += 2;
  if (at_ < source_.size() && (source_[at_] == '-' || source_[at_] == '+')) at_++;
  brackets_.clear();
  for (bool done = false; !done;) {
    at_ = std::min(source_.find_first_not_of(kSpaces, at_), source_.size());
    if (at_ == source_.size())
      return reporter_.fail(static_cast<u32>(offset), "this tag has no \"{}\"", closing);
    TRY(inside(end, closing, done));
  }
  return {};
}

// Reads one token inside a tag.
Result<void> Lexer::inside(Kind end, std::string_view closing, bool& done) {
  usize offset = at_;
  char c = source_[at_];
  bool signed_end = (c == '-' || c == '+') && source_.substr(at_ + 1).starts_with(closing);
  if (brackets_.empty() && (signed_end || rest().starts_with(closing))) {
    at_ += signed_end ? 3 : 2;
    TRY(push(end, closing, offset));
    after_end(signed_end && c == '-', signed_end && c == '+', end == Kind::kBlockEnd);
    done = true;
    return {};
  }
  if (is_name_start(c)) {
    while (at_ < source_.size() && (is_name_start(source_[at_]) || is_digit(source_[at_]))) at_++;
    return push(Kind::kName, source_.substr(offset, at_ - offset), offset);
  }
  if (is_digit(c)) return number();
  if (c == '\'' || c == '"') return quoted();
  return operator_token();
}

Result<void> Lexer::number() {
  usize begin = at_;
  auto digits = [this] {
    while (at_ < source_.size() && (is_digit(source_[at_]) || source_[at_] == '_')) at_++;
  };
  digits();
  bool real = false;
  // "a.0.b" indexes twice: a number after a point has no fraction.
  bool after_point = begin > 0 && source_[begin - 1] == '.';
  auto digit_at = [this](usize at) { return at < source_.size() && is_digit(source_[at]); };
  if (!after_point && rest().starts_with('.') && digit_at(at_ + 1)) {
    at_++;
    digits();
    real = true;
  }
  if (!after_point && at_ < source_.size() && (source_[at_] | 0x20) == 'e') {
    usize exponent = at_ + 1;
    if (exponent < source_.size() && (source_[exponent] == '+' || source_[exponent] == '-'))
      exponent++;
    if (digit_at(exponent)) {
      at_ = exponent;
      digits();
      real = true;
    }
  }
  return push(real ? Kind::kFloat : Kind::kInteger, source_.substr(begin, at_ - begin), begin);
}

Result<void> Lexer::quoted() {
  usize begin = at_;
  char quote = source_[at_++];
  usize end = at_;
  bool escaped = false;
  while (end < source_.size() && source_[end] != quote) {
    escaped = escaped || source_[end] == '\\';
    end += source_[end] == '\\' ? 2 : 1;
  }
  if (end >= source_.size())
    return reporter_.fail(static_cast<u32>(begin), "this string has no end");
  std::string_view text = source_.substr(at_, end - at_);
  if (escaped) {
    // Decoding never makes a text longer: "\xff" has four bytes and becomes two.
    char* decoded = TRY(arena_.text(text.size()));
    char* out = decoded;
    for (usize at = at_; at < end;) TRY(escape(at, end, out));
    text = {decoded, static_cast<usize>(out - decoded)};
  }
  at_ = end + 1;
  return push(Kind::kString, text, begin);
}

// Decodes one character or escape of a Python string literal.
Result<void> Lexer::escape(usize& at, usize end, char*& out) {
  char c = source_[at++];
  if (c != '\\' || at >= end) {
    *out++ = c;
    return {};
  }
  c = source_[at++];
  constexpr std::string_view kLetters = "nrtabfv0\\'\"";
  constexpr std::string_view kMeanings = std::string_view("\n\r\t\a\b\f\v\0\\'\"", 11);
  if (usize known = kLetters.find(c); known != std::string_view::npos) {
    *out++ = kMeanings[known];
    return {};
  }
  if (c == '\n') return {};
  u32 wanted = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (wanted == 0) {
    *out++ = '\\';
    *out++ = c;
    return {};
  }
  u32 code = 0;
  for (u32 i = 0; i < wanted; i++, at++) {
    std::optional<u8> digit = base::hex_digit(at < end ? source_[at] : '\0');
    if (!digit)
      return reporter_.fail(static_cast<u32>(at), "\\{} needs {} hexadecimal digits", c, wanted);
    code = code << 4 | *digit;
  }
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) code = utf8::kReplacement;
  out += utf8::encode(code, out);
  return {};
}

Result<void> Lexer::operator_token() {
  constexpr std::string_view kDouble[] = {"//", "**", "==", "!=", ">=", "<="};
  constexpr std::string_view kSingle = "+-/*%~[](){}><=.:|,";
  usize begin = at_;
  std::string_view text = rest().substr(0, 1);
  for (std::string_view two : kDouble) {
    if (rest().starts_with(two)) text = rest().substr(0, 2);
  }
  char c = text[0];
  if (text.size() == 1 && kSingle.find(c) == std::string_view::npos)
    return reporter_.fail(static_cast<u32>(begin), "unexpected \"{}\"", text);
  at_ += text.size();
  if (c == '(' || c == '[' || c == '{') {
    if (!brackets_.push_back(c == '(' ? ')' : c == '[' ? ']' : '}'))
      return reporter_.fail(static_cast<u32>(begin), "brackets are nested too deeply");
  } else if (c == ')' || c == ']' || c == '}') {
    if (brackets_.empty() || brackets_[brackets_.size() - 1] != c)
      return reporter_.fail(static_cast<u32>(begin), "unexpected \"{}\"", text);
    brackets_.truncate(brackets_.size() - 1);
  }
  return push(Kind::kOperator, text, begin);
}

}  // namespace

Result<Vector<Token>> tokenize(std::string_view source, Arena& arena, Reporter& reporter) {
  return Lexer(source, arena, reporter).run();
}

}  // namespace ai::jinja
