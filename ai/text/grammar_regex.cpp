// SPDX-License-Identifier: GPL-2.0-or-later
// Compiles regular expressions of JSON Schema (an ECMA-262 subset) to GBNF inside JSON quotes.
#include "ai/text/grammar_schema.h"
#include "kernel/base/hex.h"
#include "kernel/base/utf8.h"

namespace ai {
namespace {

constexpr u32 kMaxGroups = 48;  // nested

class RegexReader {
 public:
  RegexReader(std::string_view pattern, GbnfText& out) : text_(pattern), out_(out) {}

  // A pattern may match anywhere in the string unless it is anchored.
  Result<void> run() {
    bool anchored_start = take("^");
    bool anchored_end = ends_with_anchor();
    if (anchored_end) text_.remove_suffix(1);
    if ((anchored_start || anchored_end) && has_top_level_choice())
      return bad("an anchor beside a choice needs parentheses");
    if (!anchored_start) out_.add(" json-char*");
    out_.add(" (");
    TRY(choice(0));
    out_.add(")");
    if (!anchored_end) out_.add(" json-char*");
    if (more()) return bad("unbalanced parenthesis in pattern");
    return {};
  }
  const char* what = "pattern is not supported:";

 private:
  bool more() const { return at_ < text_.size(); }
  char peek() const { return more() ? text_[at_] : '\0'; }
  bool take(std::string_view literal) {
    if (!text_.substr(at_).starts_with(literal)) return false;
    at_ += literal.size();
    return true;
  }
  std::unexpected<Error> bad(const char* why) {
    what = why;
    return fail(Errc::kUnsupported, why);
  }
  bool ends_with_anchor() const {
    if (text_.size() <= at_ || text_.back() != '$') return false;
    usize slashes = 0;
    while (slashes + 1 < text_.size() && text_[text_.size() - 2 - slashes] == '\\') slashes++;
    return slashes % 2 == 0;
  }
  bool has_top_level_choice() const {
    u32 depth = 0;
    bool in_class = false;
    for (usize i = at_; i < text_.size(); i++) {
      char c = text_[i];
      if (c == '\\')
        i++;
      else if (in_class)
        in_class = c != ']';
      else if (c == '[')
        in_class = true;
      else if (c == '(')
        depth++;
      else if (c == ')' && depth > 0)
        depth--;
      else if (c == '|' && depth == 0)
        return true;
    }
    return false;
  }

  Result<void> choice(u32 depth) {
    TRY(sequence(depth));
    while (take("|")) {
      out_.add(" |");
      TRY(sequence(depth));
    }
    return {};
  }

  Result<void> sequence(u32 depth) {
    out_.add(" \"\"");
    while (more() && peek() != '|' && peek() != ')') {
      TRY(atom(depth));
      TRY(quantifier());
    }
    return {};
  }

  Result<void> atom(u32 depth) {
    if (take("(")) {
      if (depth == kMaxGroups) return bad("pattern is nested too deeply:");
      if (take("?") && !take(":")) return bad("pattern uses look-around or named groups:");
      out_.add(" (");
      TRY(choice(depth + 1));
      if (!take(")")) return bad("unbalanced parenthesis in pattern:");
      out_.add(")");
      return {};
    }
    if (peek() == '[') return char_class();
    if (take(".")) {
      out_.add(" [^\"\\\\\\x00-\\x1f\\x7f]");
      return {};
    }
    if (peek() == '^' || peek() == '$') return bad("pattern has an anchor inside:");
    if (peek() == '*' || peek() == '+' || peek() == '?' || peek() == '{')
      return bad("pattern repeats nothing:");
    if (peek() == '\\') {
      std::string_view set = class_escape(text_.substr(at_));
      if (!set.empty()) {
        at_ += 2;
        out_.add(" [{}]", set);
        return {};
      }
    }
    return literal(TRY(character()));
  }

  // Returns \d and the like as the inside of a GBNF class, and "" for anything else.
  static std::string_view class_escape(std::string_view text) {
    if (text.size() < 2) return {};
    switch (text[1]) {
      case 'd':
        return "0-9";
      case 'w':
        return "a-zA-Z0-9_";
      case 's':
        return " ";  // other kinds of space would need escapes in JSON
      case 'D':
        return "^0-9\"\\\\\\x00-\\x1f\\x7f";
      case 'W':
        return "^a-zA-Z0-9_\"\\\\\\x00-\\x1f\\x7f";
      case 'S':
        return "^ \"\\\\\\x00-\\x1f\\x7f";
      default:
        return {};
    }
  }

  Result<u32> character() {
    constexpr std::string_view kPlain = "^$\\.*+?()[]{}|/-\"'#&~@!%,:;<=>_` ";
    if (!take("\\")) {
      utf8::Decoded d = utf8::decode(text_.substr(at_));
      at_ += d.bytes;
      return d.code_point;
    }
    char c = peek();
    if (!more()) return bad("pattern ends in a backslash:");
    at_++;
    if (kPlain.find(c) != std::string_view::npos) return static_cast<u32>(c);
    u32 digits = c == 'x' ? 2 : c == 'u' ? 4 : 0;
    if (digits == 0) return bad("pattern has an unsupported escape:");
    u32 value = 0;
    for (; digits > 0; digits--, at_++) {
      std::optional<u8> digit = base::hex_digit(peek());
      if (!digit) return bad("pattern has a broken escape:");
      value = value << 4 | *digit;
    }
    if (value >= 0xd800 && value <= 0xdfff) return bad("pattern has a lone surrogate:");
    return value;
  }

  // Adds one character as JSON writes it between quotes.
  Result<void> literal(u32 c) {
    if (c < 0x20 || c == 0x7f) return bad("pattern has a control character:");
    char text[8];
    u32 length = utf8::encode(c, text);
    if (c == '"') length = 2, text[0] = '\\', text[1] = '"';
    if (c == '\\') length = 2, text[0] = '\\', text[1] = '\\';
    out_.add(" ").literal({text, length});
    return {};
  }

  void class_char(GbnfText& set, u32 c) {
    char text[8];
    if (c == '\\' || c == ']' || c == '[' || c == '^' || c == '-' || c == '"')
      set.add("\\{}", static_cast<char>(c));
    else
      set.add("{}", std::string_view(text, utf8::encode(c, text)));
  }

  Result<void> char_class() {
    at_++;
    bool negated = take("^"), quote = false, slash = false;
    GbnfText set;
    while (!take("]")) {
      if (!more()) return bad("unbalanced bracket in pattern:");
      std::string_view known = peek() == '\\' ? class_escape(text_.substr(at_)) : "";
      if (!known.empty()) {
        if (known[0] == '^') return bad("pattern has a negated class inside brackets:");
        set.add("{}", known);
        at_ += 2;
        continue;
      }
      u32 low = TRY(character()), high = low;
      if (peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        at_++;
        high = TRY(character());
      }
      if (high < low) return bad("pattern has a range that runs backwards:");
      if (!negated && low < 0x20) return bad("pattern has a control character:");
      TRY(class_range(set, low, high, negated, quote, slash));
    }
    if (negated) {
      out_.add(" [^\"\\\\\\x00-\\x1f\\x7f{}]", set.view());
      return set.status();
    }
    out_.add(" ([{}]", set.view());
    if (quote) out_.add(" | \"\\\\\\\"\"");
    if (slash) out_.add(" | \"\\\\\\\\\"");
    out_.add(")");
    return set.status();
  }

  // A positive range excludes the two characters that JSON must escape. They are added separately.
  Result<void> class_range(GbnfText& set, u32 low, u32 high, bool negated, bool& quote,
                           bool& slash) {
    for (u32 special : {u32{'"'}, u32{'\\'}}) {
      if (negated || low > special || high < special) continue;
      (special == '"' ? quote : slash) = true;
      if (low < special) TRY(class_range(set, low, special - 1, negated, quote, slash));
      if (high > special) TRY(class_range(set, special + 1, high, negated, quote, slash));
      return {};
    }
    if (negated && low < 0x20) return bad("pattern has a control character:");
    class_char(set, low);
    if (high != low) {
      set.add("-");
      class_char(set, high);
    }
    return {};
  }

  Result<void> quantifier() {
    while (more()) {
      if (peek() == '*' || peek() == '+' || peek() == '?') {
        out_.add("{}", text_[at_++]);
      } else if (peek() == '{') {
        usize end = text_.find('}', at_);
        if (end == std::string_view::npos) return bad("unbalanced brace in pattern:");
        out_.add("{}", text_.substr(at_, end + 1 - at_));
        at_ = end + 1;
      } else {
        return {};
      }
      // A lazy repetition matches the same strings as a greedy one.
      (void)take("?");
    }
    return {};
  }

  std::string_view text_;
  GbnfText& out_;
  usize at_ = 0;
};

}  // namespace

Result<void> regex_to_gbnf(std::string_view pattern, GbnfText& out, const char*& what) {
  RegexReader reader(pattern, out);
  Result<void> done = reader.run();
  what = reader.what;
  return done;
}

}  // namespace ai
