// SPDX-License-Identifier: GPL-2.0-or-later
// Compiles regular expressions (an ECMA-262 subset) to automata: parsing to a nondeterministic
// automaton, then the subset construction.
//
// A look-ahead is compiled to an automaton of its own. From its place on, that automaton runs
// beside the rest of the pattern, and must accept, too.
#include "ai/text/text_regex.h"

#include <algorithm>

#include "ai/tokenizer/unicode.h"
#include "kernel/base/hex.h"
#include "kernel/base/utf8.h"

namespace ai {
namespace {

constexpr u32 kMaxGroups = 48;  // nested
constexpr u32 kMaxParts = 32 * 1024;
constexpr u32 kMaxRepeat = 16 * 1024;

struct PropertyName {
  std::string_view name;
  unicode::CategorySet set;
};
constexpr PropertyName kProperties[] = {
    {"L", unicode::kLetter},
    {"Letter", unicode::kLetter},
    {"Lu", unicode::bit(unicode::Category::kLu)},
    {"Uppercase_Letter", unicode::bit(unicode::Category::kLu)},
    {"Ll", unicode::bit(unicode::Category::kLl)},
    {"Lowercase_Letter", unicode::bit(unicode::Category::kLl)},
    {"M", unicode::kMark},
    {"N", unicode::kNumber},
    {"Number", unicode::kNumber},
    {"Nd", unicode::bit(unicode::Category::kNd)},
    {"P", unicode::kPunctuation},
    {"S", unicode::kSymbol},
    {"Z", unicode::kSeparator},
};
// These are not categories. The smaller set is certain in every version of Unicode, the larger one
// has everything that might ever belong to it.
constexpr CharRange kEmojiSure[] = {{0x1f300, 0x1f320}, {0x1f330, 0x1f393}, {0x1f3e0, 0x1f3f0},
                                    {0x1f400, 0x1f43e}, {0x1f600, 0x1f64f}, {0x1f680, 0x1f6c5}};
constexpr CharRange kEmojiPerhaps[] = {{0, kLastChar}};
constexpr CharRange kRegional[] = {{0x1f1e6, 0x1f1ff}};

constexpr CharRange kDigits[] = {{'0', '9'}};
constexpr CharRange kWord[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
// The white space that ECMA-262 and Python agree on, and what either of them takes.
constexpr CharRange kSpaceSure[] = {{9, 13},          {' ', ' '},       {0xa0, 0xa0},
                                    {0x1680, 0x1680}, {0x2000, 0x200a}, {0x2028, 0x2029},
                                    {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}};
constexpr CharRange kSpaceWide[] = {{9, 13},          {0x1c, 0x20},     {0x85, 0x85},
                                    {0xa0, 0xa0},     {0x1680, 0x1680}, {0x2000, 0x200a},
                                    {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f},
                                    {0x3000, 0x3000}, {0xfeff, 0xfeff}};
constexpr CharRange kLineEnds[] = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};
constexpr CharRange kOneLineEnd[] = {{'\n', '\n'}};

}  // namespace

// ---- the whole pattern ----------------------------------------------------------------------

Result<TextAutomaton> RegexCompiler::run(bool at_start, bool begin) {
  Fragment body = TRY(choice(groups_));
  if (more()) return bad("unbalanced parenthesis in pattern:");
  Vector<CharRange> none, nothing;
  u32 accept = TRY(add({.kind = Part::Kind::kAccept}));
  Fragment rest = TRY(chars(none, true));
  tail_ = TRY(add({.kind = Part::Kind::kSplit, .next = accept, .other = rest.start}));
  parts_[rest.exit].next = tail_;
  parts_[body.exit].next = tail_;
  u32 start = body.start;
  if (!at_start) {
    Fragment before = TRY(chars(nothing, true));
    start = TRY(add({.kind = Part::Kind::kSplit, .next = body.start, .other = before.start}));
    parts_[before.exit].next = start;
  }
  TextAutomaton made = TRY(determine(start, begin));
  if (made.nodes().size() <= 2048) TRY(made.minimize(work_));
  return made;
}

// Returns the place of the parenthesis that closes the one at `at`.
usize RegexCompiler::group_end(usize at) const {
  u32 depth = 0;
  bool in_class = false;
  for (usize i = at; i < text_.size(); i++) {
    char c = text_[i];
    if (c == '\\')
      i++;
    else if (in_class)
      in_class = c != ']';
    else if (c == '[')
      in_class = true;
    else if (c == '(')
      depth++;
    else if (c == ')' && --depth == 0)
      return i;
  }
  return std::string_view::npos;
}

// ---- parts of a pattern ---------------------------------------------------------------------

Result<u32> RegexCompiler::add(Part part) {
  TRY(work_.spend(2));
  if (parts_.size() == kMaxParts) return bad("pattern repeats too much:");
  TRY(parts_.push_back(part));
  return static_cast<u32>(parts_.size() - 1);
}

Result<RegexCompiler::Fragment> RegexCompiler::chars(Vector<CharRange>& set, bool negated) {
  normalize(set);
  if (negated) set = TRY(inverted(set));
  u32 exit = TRY(jump()), first = static_cast<u32>(ranges_.size());
  TRY(work_.spend(set.size()));
  TRY(ranges_.append(set.view()));
  u32 start = TRY(add({.kind = Part::Kind::kChars,
                       .next = exit,
                       .first = first,
                       .count = static_cast<u32>(set.size())}));
  return Fragment{start, exit};
}

Result<RegexCompiler::Fragment> RegexCompiler::mark(Part::Kind kind) {
  u32 exit = TRY(jump());
  return Fragment{TRY(add({.kind = kind, .next = exit})), exit};
}

Result<RegexCompiler::Fragment> RegexCompiler::choice(u32 depth) {
  Fragment all = TRY(sequence(depth));
  while (take("|")) {
    Fragment one = TRY(sequence(depth));
    u32 exit = TRY(jump());
    parts_[all.exit].next = parts_[one.exit].next = exit;
    u32 start = TRY(add({.kind = Part::Kind::kSplit, .next = all.start, .other = one.start}));
    all = {start, exit};
  }
  return all;
}

Result<RegexCompiler::Fragment> RegexCompiler::sequence(u32 depth) {
  u32 start = TRY(jump());
  Fragment all{start, start};
  while (more() && peek() != '|' && peek() != ')') {
    u32 first = static_cast<u32>(parts_.size());
    Fragment one = TRY(atom(depth));
    one = TRY(quantified(one, first));
    parts_[all.exit].next = one.start;
    all.exit = one.exit;
  }
  return all;
}

Result<RegexCompiler::Fragment> RegexCompiler::atom(u32 depth) {
  if (take("(")) return group(depth);
  if (take("^")) return mark(Part::Kind::kBegin);
  if (take("$")) return mark(Part::Kind::kEnd);
  if (peek() == '[') return char_class();
  Vector<CharRange> set;
  if (take(".")) {
    TRY(set.append(wide_ ? std::span<const CharRange>(kOneLineEnd) : kLineEnds));
    return chars(set, true);
  }
  if (peek() == '*' || peek() == '+' || peek() == '?' || peek() == '{')
    return bad("pattern repeats nothing:");
  if (TRY(named_class(set, wide_))) return chars(set, false);
  u32 c = TRY(character(false));
  TRY(add_range(set, c, c));
  return chars(set, false);
}

Result<RegexCompiler::Fragment> RegexCompiler::group(u32 depth) {
  if (depth >= kMaxGroups) return bad("pattern is nested too deeply:");
  if (text_.substr(at_).starts_with("?=") || text_.substr(at_).starts_with("?!"))
    return look_ahead(depth);
  if (take("?") && !take(":")) {
    bool named =
        peek() == '<' && at_ + 1 < text_.size() && text_[at_ + 1] != '=' && text_[at_ + 1] != '!';
    usize end = text_.find('>', at_);
    if (!named || end == std::string_view::npos)
      return bad("pattern looks behind, or has a group of an unknown kind:");
    at_ = end + 1;
  }
  Fragment inside = TRY(choice(depth + 1));
  if (!take(")")) return bad("unbalanced parenthesis in pattern:");
  return inside;
}

// The group's parenthesis is read already.
Result<RegexCompiler::Fragment> RegexCompiler::look_ahead(u32 depth) {
  u32 number = static_cast<u32>(looked_.size());
  TRY(read_looked(depth));
  u32 exit = TRY(jump());
  return Fragment{TRY(add({.kind = Part::Kind::kLook, .next = exit, .first = number})), exit};
}

Result<void> RegexCompiler::read_looked(u32 depth) {
  usize end = group_end(at_ - 1);
  if (end == std::string_view::npos) return bad("unbalanced parenthesis in pattern:");
  bool wanted = text_[at_ + 1] == '=';
  std::string_view inside = text_.substr(at_ + 2, end - at_ - 2);
  at_ = end + 1;
  for (bool begin : {false, true}) {
    // Excluded texts are read the other way round, so that the result stays on the safe side.
    RegexCompiler inner(inside, wanted ? wide_ : !wide_, depth + 1, work_);
    TextAutomaton texts = TRY(inner.run(true, begin));
    TextAutomaton others = TRY(texts.complement(work_));
    if (!wanted) std::swap(texts, others);
    // A condition that all kept texts meet anyway need not run beside them.
    if (begin && within_ && TRY(TextAutomaton::both(looked_[0], others, work_)).empty())
      texts = TRY(TextAutomaton::everything());
    TRY(looked_.push_back(std::move(texts)));
  }
  return {};
}

Result<RegexCompiler::Fragment> RegexCompiler::quantified(Fragment one, u32 first) {
  while (more()) {
    if (take("*")) {
      one = TRY(repeat(one, first, 0, kNone));
    } else if (take("+")) {
      one = TRY(repeat(one, first, 1, kNone));
    } else if (take("?")) {
      one = TRY(repeat(one, first, 0, 1));
    } else if (take("{")) {
      u32 least = TRY(number()), most = least;
      if (take(",")) most = peek() == '}' ? kNone : TRY(number());
      if (!take("}") || most < least) return bad("pattern has a broken repetition:");
      one = TRY(repeat(one, first, least, most));
    } else {
      return one;
    }
    // A lazy repetition matches the same texts as a greedy one.
    (void)take("?");
  }
  return one;
}

Result<u32> RegexCompiler::number() {
  u32 value = 0;
  if (peek() < '0' || peek() > '9') return bad("pattern has a broken repetition:");
  while (peek() >= '0' && peek() <= '9') {
    value = value * 10 + static_cast<u32>(text_[at_++] - '0');
    if (value > kMaxRepeat) return bad("pattern repeats too much:");
  }
  return value;
}

// Builds copies in a row from the parts [first, now). Optional copies have a way to the end.
Result<RegexCompiler::Fragment> RegexCompiler::repeat(Fragment one, u32 first, u32 least,
                                                      u32 most) {
  u32 end = static_cast<u32>(parts_.size());
  u32 copies = most == kNone ? least + 1 : most;
  u32 exit = TRY(jump()), start = TRY(jump()), tail = start;
  for (u32 i = 0; i < copies; i++) {
    Fragment part = one;
    if (i + 1 < copies) {  // the item itself becomes the last copy
      u32 shift = static_cast<u32>(parts_.size()) - first;
      auto moved = [&](u32 s) { return s != kNone && s >= first && s < end ? s + shift : s; };
      for (u32 p = first; p < end; p++) {
        Part copy = parts_[p];
        copy.next = moved(copy.next);
        copy.other = moved(copy.other);
        TRY(add(copy));
      }
      part = {moved(one.start), moved(one.exit)};
    }
    if (i < least) {
      parts_[tail].next = part.start;
      tail = part.exit;
      continue;
    }
    u32 enter = TRY(add({.kind = Part::Kind::kSplit, .next = part.start, .other = exit}));
    parts_[tail].next = enter;
    tail = part.exit;
    if (most == kNone) {
      parts_[part.exit].next = enter;
      return Fragment{start, exit};
    }
  }
  parts_[tail].next = exit;
  return Fragment{start, exit};
}

// ---- characters -----------------------------------------------------------------------------

Result<u32> RegexCompiler::hex(u32 digits) {
  u32 value = 0;
  for (; digits > 0; digits--, at_++) {
    std::optional<u8> digit = base::hex_digit(peek());
    if (!digit) return bad("pattern has a broken escape:");
    value = value << 4 | *digit;
  }
  return value;
}

Result<u32> RegexCompiler::character(bool in_class) {
  constexpr std::string_view kPlain = "^$\\.*+?()[]{}|/-\"'#&~@!%,:;<=>_` ";
  constexpr std::string_view kLetters = "nrtfv0", kMeanings("\n\r\t\f\v\0", 6);
  if (!take("\\")) {
    utf8::Decoded d = utf8::decode(text_.substr(at_));
    at_ += d.bytes;
    return d.code_point;
  }
  if (!more()) return bad("pattern ends in a backslash:");
  char c = text_[at_++];
  if (kPlain.find(c) != std::string_view::npos) return static_cast<u32>(c);
  if (usize known = kLetters.find(c); known != std::string_view::npos)
    return static_cast<u32>(kMeanings[known]);
  if (c == 'b' && in_class) return 8u;
  if (c == 'b' || c == 'B') return bad("pattern has a word boundary:");
  if (c >= '1' && c <= '9') return bad("pattern refers back to a group:");
  if (c == 'x') return hex(2);
  if (c != 'u') return bad("pattern has an unsupported escape:");
  if (take("{")) {
    usize end = text_.find('}', at_);
    if (end == std::string_view::npos || end - at_ > 6) return bad("pattern has a broken escape:");
    u32 value = TRY(hex(static_cast<u32>(end - at_)));
    at_ = end + 1;
    return value <= kLastChar ? value : Result<u32>(bad("pattern has a broken escape:"));
  }
  u32 value = TRY(hex(4));
  if (value < 0xd800 || value > 0xdfff) return value;
  if (value > 0xdbff || !take("\\u")) return bad("pattern has a lone surrogate:");
  u32 low = TRY(hex(4));
  if (low < 0xdc00 || low > 0xdfff) return bad("pattern has a lone surrogate:");
  return 0x10000 + ((value - 0xd800) << 10) + (low - 0xdc00);
}

// Adds \d and the like. Returns false, without reading, for anything else.
Result<bool> RegexCompiler::named_class(Vector<CharRange>& set, bool wide) {
  if (peek() != '\\' || at_ + 1 >= text_.size()) return false;
  char c = text_[at_ + 1];
  bool negated = c >= 'A' && c <= 'Z';
  std::span<const CharRange> list;
  switch (negated ? c - 'A' + 'a' : c) {
    case 'd':
      list = kDigits;
      break;
    case 'w':
      list = kWord;
      break;
    case 's':
      list = wide != negated ? std::span<const CharRange>(kSpaceWide) : kSpaceSure;
      break;
    case 'p':
      at_ += 2;
      TRY(property(set, negated, wide));
      return true;
    default:
      return false;
  }
  at_ += 2;
  Vector<CharRange> one;
  TRY(one.append(list));
  if (negated) one = TRY(inverted(one));
  TRY(set.append(one.view()));
  return true;
}

Result<void> RegexCompiler::property(Vector<CharRange>& set, bool negated, bool wide) {
  usize end = text_.find('}', at_);
  if (!take("{") || end == std::string_view::npos) return bad("pattern has a broken escape:");
  std::string_view name = text_.substr(at_, end - at_);
  at_ = end + 1;
  for (std::string_view prefix : {"General_Category=", "gc="})
    if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  Vector<CharRange> one;
  auto* known = std::find_if(std::begin(kProperties), std::end(kProperties),
                             [&](const PropertyName& p) { return p.name == name; });
  if (known != std::end(kProperties)) {
    TRY(work_.spend(kLastChar / 8));
    for (u32 c = 0; c <= kLastChar; c++) {
      if ((unicode::class_of(c) & known->set) == 0) continue;
      if (one.empty() || one.back().high + 1 != c) TRY(add_range(one, c, c));
      one.back().high = c;
    }
  } else if (name == "Regional_Indicator") {
    TRY(one.append(kRegional));
  } else if (name == "Extended_Pictographic" || name == "Emoji" || name == "Emoji_Component" ||
             name == "Emoji_Presentation") {
    TRY(one.append(wide != negated ? std::span<const CharRange>(kEmojiPerhaps) : kEmojiSure));
    // Nobody knows which characters are components only; none is certain.
    if (name == "Emoji_Component" && wide == negated) one.clear();
  } else {
    return bad("pattern has an unknown property:");
  }
  if (negated) one = TRY(inverted(one));
  return set.append(one.view());
}

Result<RegexCompiler::Fragment> RegexCompiler::char_class() {
  at_++;
  bool negated = take("^");
  Vector<CharRange> set;
  while (!take("]")) {
    if (!more()) return bad("unbalanced bracket in pattern:");
    if (TRY(named_class(set, wide_ != negated))) continue;
    u32 low = TRY(character(true)), high = low;
    if (peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
      at_++;
      Vector<CharRange> none;
      if (TRY(named_class(none, wide_))) return bad("pattern has a range that ends in a class:");
      high = TRY(character(true));
    }
    if (high < low) return bad("pattern has a range that runs backwards:");
    TRY(add_range(set, low, high));
  }
  return chars(set, negated);
}

Result<TextAutomaton> regex_automaton(std::string_view pattern, bool wide, Work& work,
                                      const TextAutomaton* within) {
  RegexCompiler compiler(pattern, wide, 0, work);
  if (within != nullptr) TRY(compiler.keep_within(*within));
  return compiler.run(false, true);
}

}  // namespace ai
