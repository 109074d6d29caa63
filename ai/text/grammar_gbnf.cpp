// SPDX-License-Identifier: GPL-2.0-or-later
// Compiles GBNF to a byte automaton. Each rule becomes a fragment (Thompson's construction) and
// characters become their UTF-8 bytes. Left recursion is refused, because it would never consume a
// byte. Everything takes time proportional to the text and the states.
#include <algorithm>

#include "ai/text/grammar_gbnf.h"
#include "kernel/base/hex.h"
#include "kernel/base/utf8.h"

namespace ai {
namespace {

using State = Grammar::State;

constexpr u32 kMaxDepth = 64;  // of parentheses
// Compiling a grammar of this size takes 40 ms, during which no other thread runs.
constexpr u32 kMaxStates = 384 * 1024;
constexpr u32 kMaxRules = 32 * 1024;
constexpr u32 kMaxRepeat = 100'000;  // also bounded by kMaxStates

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

}  // namespace

// ---- text -----------------------------------------------------------------------------------

Result<void> GbnfCompiler::error(const char* what, std::string_view about) {
  usize line = 1 + static_cast<usize>(std::count(text_.begin(), text_.begin() + at_, '\n'));
  base::format_to(problem_, "grammar, line {}: {}{}{}", line, what, about.empty() ? "" : " ",
                  about);
  return fail(Errc::kInvalidArgument, what);
}

Result<void> GbnfCompiler::too_much(const char* what, usize have, usize most) {
  base::format_to(problem_, "the grammar has {} {}; at most {} are taken", have, what, most);
  return fail(Errc::kInvalidArgument, "the grammar is too large");
}

bool GbnfCompiler::take(std::string_view literal) {
  if (!text_.substr(at_).starts_with(literal)) return false;
  at_ += literal.size();
  return true;
}

void GbnfCompiler::skip_space() {
  while (more()) {
    char c = peek();
    if (c == '#')
      while (more() && peek() != '\n') at_++;
    else if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
      at_++;
    else
      return;
  }
}

// Returns true at "name ::=", which begins the next rule, wherever the line breaks are.
bool GbnfCompiler::at_rule_head() const {
  usize i = at_;
  while (i < text_.size() && is_name_char(text_[i])) i++;
  if (i == at_) return false;
  while (i < text_.size() && (text_[i] == ' ' || text_[i] == '\t')) i++;
  return text_.substr(i).starts_with("::=");
}

std::string_view GbnfCompiler::name() {
  usize first = at_;
  while (more() && is_name_char(peek())) at_++;
  return text_.substr(first, at_ - first);
}

Result<u32> GbnfCompiler::rule_index(std::string_view name) {
  Result<u32> index = names_.add(name);
  if (!index.has_value() && index.error().code == Errc::kInvalidArgument)
    TRY(error(index.error().what));
  u32 number = TRY(std::move(index));
  if (number < rules_.size()) return number;
  if (rules_.size() == kMaxRules) TRY(too_much("rules", kMaxRules + 1, kMaxRules));
  TRY(rules_.push_back({}));
  return number;
}

Result<void> GbnfCompiler::run() {
  if (text_.size() > Grammar::kMaxText) return too_much("bytes", text_.size(), Grammar::kMaxText);
  if (!utf8::valid(text_)) return error("text is not UTF-8");
  skip_space();
  while (more()) TRY(rule());
  TRY(check_names());
  TRY(find_first_calls());
  TRY(check_left_recursion());
  TRY(remove_dead_ends());
  find_distinct();
  assign_classes();
  return {};
}

Result<void> GbnfCompiler::check_names() {
  for (u32 i = 0; i < rules_.size(); i++) {
    if (rules_[i].start == Grammar::kNone) return error("undefined rule", names_[i]);
    TRY(out_.rule_starts_.push_back(rules_[i].start));
  }
  out_.root_ = names_.find("root");
  return out_.root_ == NameIndex::kNone ? error("no rule named root") : Result<void>();
}

Result<void> GbnfCompiler::rule() {
  if (!at_rule_head()) return error("expected a rule: name ::= …");
  u32 index = TRY(rule_index(name()));
  skip_space();
  (void)take("::=");
  if (rules_[index].start != Grammar::kNone) return error("rule is defined twice:", names_[index]);
  Fragment body = TRY(alternates(0));
  out_.states_[body.exit] = {.kind = State::Kind::kReturn};
  rules_[index].start = body.start;
  if (more() && !at_rule_head()) return error("unexpected character", text_.substr(at_, 1));
  return {};
}

Result<GbnfCompiler::Fragment> GbnfCompiler::alternates(u32 depth) {
  Vector<u32> starts;
  u32 exit = TRY(jump());
  do {
    Fragment one = TRY(sequence(depth));
    out_.states_[one.exit].next = exit;
    TRY(starts.push_back(one.start));
  } while (take("|"));
  return choice(starts, exit);
}

Result<GbnfCompiler::Fragment> GbnfCompiler::sequence(u32 depth) {
  u32 start = TRY(jump());
  Fragment all{start, start};
  for (skip_space(); more() && peek() != '|' && peek() != ')' && !at_rule_head(); skip_space()) {
    u32 first = static_cast<u32>(out_.states_.size());
    Fragment one = TRY(item(depth));
    one = TRY(repeated(one, first));
    out_.states_[all.exit].next = one.start;
    all.exit = one.exit;
  }
  return all;
}

Result<GbnfCompiler::Fragment> GbnfCompiler::item(u32 depth) {
  if (peek() == '"') return literal();
  if (peek() == '[') return char_class();
  if (take(".")) {
    Vector<CharRange> none;
    return ranges(none, true);
  }
  if (take("(")) {
    if (depth == kMaxDepth) TRY(error("parentheses are nested too deeply"));
    Fragment inside = TRY(alternates(depth + 1));
    if (!take(")")) TRY(error("expected )"));
    return inside;
  }
  std::string_view called = name();
  if (called.empty()) TRY(error("unexpected character", text_.substr(at_, 1)));
  u32 exit = TRY(jump());
  u32 rule = TRY(rule_index(called));
  u32 call = TRY(add({.kind = State::Kind::kCall, .next = rule, .other = exit}));
  return Fragment{call, exit};
}

Result<u32> GbnfCompiler::character() {
  constexpr std::string_view kLetters = "nrt\\\"[]-^/", kMeanings = "\n\r\t\\\"[]-^/";
  if (!more()) TRY(error("text ends inside quotes or brackets"));
  if (!take("\\")) {
    utf8::Decoded d = utf8::decode(text_.substr(at_));
    at_ += d.bytes;
    return d.code_point;
  }
  char c = peek();
  if (more()) at_++;
  usize known = kLetters.find(c);
  if (known != std::string_view::npos) return static_cast<u32>(kMeanings[known]);
  u32 digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (digits == 0) TRY(error("unknown escape"));
  u32 value = 0;
  for (; digits > 0; digits--, at_++) {
    std::optional<u8> digit = base::hex_digit(peek());
    if (!digit) TRY(error("expected hex digits"));
    value = value << 4 | digit.value_or(0);
  }
  if (value > 0x10ffff) TRY(error("this is above 10ffff, the last Unicode character"));
  return value;
}

Result<GbnfCompiler::Fragment> GbnfCompiler::literal() {
  at_++;
  u32 start = TRY(jump());
  Fragment all{start, start};
  while (!take("\"")) {
    char text[4];
    u32 length = utf8::encode(TRY(character()), text);
    Fragment one = TRY(bytes({text, length}));
    out_.states_[all.exit].next = one.start;
    all.exit = one.exit;
  }
  return all;
}

Result<GbnfCompiler::Fragment> GbnfCompiler::char_class() {
  at_++;
  bool negated = take("^");
  Vector<CharRange> list;
  while (!take("]")) {
    u32 low = TRY(character()), high = low;
    if (peek() == '-' && !text_.substr(at_).starts_with("-]")) {
      at_++;
      high = TRY(character());
    }
    if (high < low) TRY(error("range runs backwards"));
    TRY(list.push_back({low, high}));
  }
  return ranges(list, negated);
}

Result<u32> GbnfCompiler::number() {
  u32 value = 0;
  if (peek() < '0' || peek() > '9') TRY(error("expected a number"));
  while (peek() >= '0' && peek() <= '9') {
    value = value * 10 + static_cast<u32>(text_[at_++] - '0');
    if (value > kMaxRepeat) TRY(error("repetition is too large"));
  }
  return value;
}

// ---- automaton ------------------------------------------------------------------------------

Result<u32> GbnfCompiler::add(State state) {
  if (out_.states_.size() == kMaxStates) TRY(error("grammar is too large: repeat less"));
  TRY(out_.states_.push_back(state));
  return static_cast<u32>(out_.states_.size() - 1);
}

Result<GbnfCompiler::Fragment> GbnfCompiler::bytes(std::string_view text) {
  u32 start = TRY(jump());
  Fragment all{start, start};
  for (char c : text) {
    u8 byte = static_cast<u8>(c);
    u32 exit = TRY(jump());
    out_.states_[all.exit] = {State::Kind::kRange, byte, byte, exit, Grammar::kNone};
    all.exit = exit;
  }
  return all;
}

Result<GbnfCompiler::Fragment> GbnfCompiler::choice(const Vector<u32>& starts, u32 exit) {
  if (starts.empty()) {
    // This matches nothing: no byte is in the range.
    u32 never = TRY(add({State::Kind::kRange, 1, 0, exit, Grammar::kNone}));
    return Fragment{never, exit};
  }
  u32 start = starts.back();
  for (usize i = starts.size() - 1; i > 0; i--) start = TRY(split(starts[i - 1], start));
  return Fragment{start, exit};
}

Result<GbnfCompiler::Fragment> GbnfCompiler::ranges(Vector<CharRange>& list, bool negated) {
  std::sort(list.begin(), list.end(),
            [](const CharRange& a, const CharRange& b) { return a.low < b.low; });
  u32 exit = TRY(jump());
  Vector<u32> starts;
  u32 next = 0;  // first character that the list does not cover yet
  for (const CharRange& r : list) {
    u32 low = std::max(r.low, next);
    if (negated && r.low > next) TRY(range_bytes(next, r.low - 1, exit, starts));
    if (!negated && low <= r.high) TRY(range_bytes(low, r.high, exit, starts));
    next = std::max(next, r.high + 1);
  }
  if (negated && next <= 0x10ffff) TRY(range_bytes(next, 0x10ffff, exit, starts));
  return choice(starts, exit);
}

// Splits [low, high] until every part is a sequence of independent ranges of bytes.
Result<void> GbnfCompiler::range_bytes(u32 low, u32 high, u32 exit, Vector<u32>& starts) {
  if (low > high) return {};
  // Leaves out surrogates, which are no characters (RFC 3629).
  if (low < 0xd800 && high >= 0xd800) {
    TRY(range_bytes(low, 0xd7ff, exit, starts));
    return range_bytes(0xd800, high, exit, starts);
  }
  if (low >= 0xd800 && low <= 0xdfff) return range_bytes(0xe000, high, exit, starts);
  for (u32 limit : {0x7fu, 0x7ffu, 0xffffu})  // the last characters of the 1-, 2- and 3-byte forms
    if (low <= limit && high > limit) {
      TRY(range_bytes(low, limit, exit, starts));
      return range_bytes(limit + 1, high, exit, starts);
    }
  char first[4], last[4];
  u32 length = utf8::encode(low, first);
  for (u32 i = 1; i < length; i++) {
    u32 tail = (1u << 6 * i) - 1;  // the bits that the last i bytes hold
    if ((low & ~tail) == (high & ~tail)) continue;
    if ((low & tail) != 0) {
      TRY(range_bytes(low, low | tail, exit, starts));
      return range_bytes((low | tail) + 1, high, exit, starts);
    }
    if ((high & tail) != tail) {
      TRY(range_bytes(low, (high & ~tail) - 1, exit, starts));
      return range_bytes(high & ~tail, high, exit, starts);
    }
  }
  utf8::encode(high, last);
  u32 next = exit;
  for (u32 i = length; i-- > 0;)
    next = TRY(add({State::Kind::kRange, static_cast<u8>(first[i]), static_cast<u8>(last[i]), next,
                    Grammar::kNone}));
  return starts.push_back(next);
}

Result<GbnfCompiler::Fragment> GbnfCompiler::repeated(Fragment one, u32 first) {
  constexpr u32 kNoLimit = Grammar::kNone;
  for (;;) {
    if (take("*")) {
      one = TRY(repeat(one, first, 0, kNoLimit));
    } else if (take("+")) {
      one = TRY(repeat(one, first, 1, kNoLimit));
    } else if (take("?")) {
      one = TRY(repeat(one, first, 0, 1));
    } else if (take("{")) {
      skip_space();
      u32 least = peek() == ',' ? 0 : TRY(number()), most = least;
      skip_space();
      if (take(",")) {
        skip_space();
        most = peek() == '}' ? kNoLimit : TRY(number());
      }
      skip_space();
      if (!take("}")) TRY(error("expected }"));
      if (most < least) TRY(error("repetition runs backwards"));
      one = TRY(repeat(one, first, least, most));
    } else {
      return one;
    }
  }
}

// Builds item{least,most} as copies in a row. Each optional copy has a jump to the end.
Result<GbnfCompiler::Fragment> GbnfCompiler::repeat(Fragment one, u32 first, u32 least, u32 most) {
  u32 end_state = static_cast<u32>(out_.states_.size());
  bool unbounded = most == Grammar::kNone;
  u32 copies = unbounded ? least + 1 : most;
  u32 exit = TRY(jump()), start = TRY(jump()), tail = start;
  for (u32 i = 0; i < copies; i++) {
    // The item itself becomes the last copy, so that the others are copied from an unchanged item.
    Fragment part = i + 1 < copies ? TRY(copy(one, first, end_state)) : one;
    if (i < least) {
      out_.states_[tail].next = part.start;
      tail = part.exit;
      continue;
    }
    u32 enter = TRY(split(part.start, exit));
    out_.states_[tail].next = enter;
    tail = part.exit;
    if (unbounded) {
      out_.states_[part.exit].next = enter;
      return Fragment{start, exit};
    }
  }
  out_.states_[tail].next = exit;
  return Fragment{start, exit};
}

Result<GbnfCompiler::Fragment> GbnfCompiler::copy(Fragment one, u32 first, u32 end_state) {
  u32 shift = static_cast<u32>(out_.states_.size()) - first;
  auto moved = [&](u32 s) {
    return s != Grammar::kNone && s >= first && s < end_state ? s + shift : s;
  };
  for (u32 i = first; i < end_state; i++) {
    State s = out_.states_[i];
    if (s.kind != State::Kind::kCall) s.next = moved(s.next);  // a call's `next` is a rule
    s.other = moved(s.other);
    TRY(add(s));
  }
  return Fragment{moved(one.start), moved(one.exit)};
}

Result<base::Owner<Grammar>> Grammar::from_gbnf(std::string_view text, const TokenTrie& tokens,
                                                base::Writer& problem) {
  base::Owner<Grammar> grammar = TRY(base::make<Grammar>(tokens));
  TRY(GbnfCompiler(text, *grammar, problem).run());
  return grammar;
}

Result<base::Owner<Grammar>> Grammar::from_schema(json::Value schema, const TokenTrie& tokens,
                                                  base::Writer& problem) {
  String text = TRY(schema_to_gbnf(schema, problem));
  char why[200];
  base::BufferWriter buffer(why);
  Result<base::Owner<Grammar>> made = from_gbnf(text.view(), tokens, buffer);
  if (made.has_value()) return made;
  bool nothing = std::string_view(made.error().what) == kNothingEnds;
  base::format_to(problem, "JSON schema: {}", nothing ? "no value meets it" : buffer.view());
  return made;
}

}  // namespace ai
