// SPDX-License-Identifier: GPL-2.0-or-later
// GBNF to a byte automaton: each rule is a fragment (Thompson's construction), characters are
// spelled as UTF-8, and left recursion is refused because it would never take a byte.
#include <algorithm>

#include "ai/text/grammar.h"
#include "kernel/base/hex.h"
#include "kernel/base/utf8.h"

namespace ai {
namespace {

using State = Grammar::State;

constexpr u32 kMaxDepth = 64;  // of parentheses
constexpr u32 kMaxStates = 512 * 1024;
constexpr u32 kMaxRules = 16 * 1024;
constexpr u32 kMaxRepeat = 100'000;  // also bounded by kMaxStates
constexpr usize kMaxText = 4 * kMiB;

struct CharRange {
  u32 low, high;
};

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

}  // namespace

class GbnfCompiler {
 public:
  GbnfCompiler(std::string_view text, Grammar& out, base::Writer& problem)
      : text_(text), out_(out), problem_(problem) {}

  Result<void> run();

 private:
  // States [first, end of building) with one entry and one exit; the exit is a jump not yet set.
  struct Fragment {
    u32 start, exit;
  };
  struct Rule {
    std::string_view name;
    u32 start = Grammar::kNone;
    bool nullable = false;
  };

  Result<void> error(const char* what, std::string_view about = {});
  bool more() const { return at_ < text_.size(); }
  char peek() const { return more() ? text_[at_] : '\0'; }
  bool take(std::string_view literal);
  void skip_space();
  bool at_rule_head() const;
  std::string_view name();
  Result<u32> rule_index(std::string_view name);

  Result<void> rule();
  Result<Fragment> alternates(u32 depth);
  Result<Fragment> sequence(u32 depth);
  Result<Fragment> item(u32 depth);
  Result<Fragment> literal();
  Result<Fragment> char_class();
  Result<Fragment> repeated(Fragment item, u32 first_state);
  Result<Fragment> repeat(Fragment item, u32 first_state, u32 least, u32 most);
  Result<u32> character();
  Result<u32> number();

  Result<u32> add(State state);
  Result<u32> jump() { return add({.kind = State::Kind::kSplit}); }
  Result<u32> split(u32 next, u32 other) {
    return add({.kind = State::Kind::kSplit, .next = next, .other = other});
  }
  Result<Fragment> bytes(std::string_view text);
  Result<Fragment> ranges(Vector<CharRange>& list, bool negated);
  Result<void> range_bytes(u32 low, u32 high, u32 exit, Vector<u32>& starts);
  Result<Fragment> choice(const Vector<u32>& starts, u32 exit);
  Result<Fragment> copy(Fragment item, u32 first_state, u32 end_state);

  bool reaches_return(u32 start, Vector<u32>& seen, u32 stamp, Vector<u32>* calls);
  Result<void> check_left_recursion();
  void assign_classes();

  std::string_view text_;
  Grammar& out_;
  base::Writer& problem_;
  usize at_ = 0;
  Vector<Rule> rules_;
  Vector<u32> index_;  // open addressing over rules_, index + 1
  Vector<u32> todo_;   // scratch of reaches_return
};

// ---- text -----------------------------------------------------------------------------------

Result<void> GbnfCompiler::error(const char* what, std::string_view about) {
  usize line = 1 + static_cast<usize>(std::count(text_.begin(), text_.begin() + at_, '\n'));
  base::format_to(problem_, "grammar, line {}: {}{}{}", line, what, about.empty() ? "" : " ",
                  about);
  return fail(Errc::kInvalidArgument, what);
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

// "name ::=" begins the next rule, wherever the line breaks are.
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
  u64 hash = 1469598103934665603u;
  for (char c : name) hash = (hash ^ static_cast<u8>(c)) * 1099511628211u;
  u32 slot = static_cast<u32>(hash % index_.size());
  for (; index_[slot] != 0; slot = (slot + 1) % static_cast<u32>(index_.size()))
    if (rules_[index_[slot] - 1].name == name) return index_[slot] - 1;
  if (rules_.size() == kMaxRules) TRY(error("too many rules"));
  TRY(rules_.push_back({.name = name}));
  index_[slot] = static_cast<u32>(rules_.size());
  return static_cast<u32>(rules_.size() - 1);
}

Result<void> GbnfCompiler::run() {
  if (text_.size() > kMaxText) return error("text is too long");
  if (!utf8::valid(text_)) return error("text is not UTF-8");
  TRY(index_.resize(usize{kMaxRules} * 2));
  skip_space();
  while (more()) TRY(rule());
  bool has_root = false;
  for (u32 i = 0; i < rules_.size(); i++) {
    if (rules_[i].start == Grammar::kNone) return error("undefined rule", rules_[i].name);
    TRY(out_.rule_starts_.push_back(rules_[i].start));
    if (rules_[i].name == "root") out_.root_ = i, has_root = true;
  }
  if (!has_root) return error("no rule named root");
  TRY(check_left_recursion());
  assign_classes();
  return {};
}

Result<void> GbnfCompiler::rule() {
  if (!at_rule_head()) return error("expected a rule: name ::= …");
  u32 index = TRY(rule_index(name()));
  skip_space();
  (void)take("::=");
  if (rules_[index].start != Grammar::kNone)
    return error("rule is defined twice:", rules_[index].name);
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
  if (value > 0x10ffff) TRY(error("not a character"));
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
  if (out_.states_.size() == kMaxStates) TRY(error("grammar is too large"));
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
    // Nothing matches: a range that no byte is in.
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
  u32 next = 0;  // first character not yet covered by the list
  for (const CharRange& r : list) {
    u32 low = std::max(r.low, next);
    if (negated && r.low > next) TRY(range_bytes(next, r.low - 1, exit, starts));
    if (!negated && low <= r.high) TRY(range_bytes(low, r.high, exit, starts));
    next = std::max(next, r.high + 1);
  }
  if (negated && next <= 0x10ffff) TRY(range_bytes(next, 0x10ffff, exit, starts));
  return choice(starts, exit);
}

// Splits [low, high] until every part is a sequence of independent byte ranges.
Result<void> GbnfCompiler::range_bytes(u32 low, u32 high, u32 exit, Vector<u32>& starts) {
  if (low > high) return {};
  // Not characters: surrogates (RFC 3629).
  if (low < 0xd800 && high >= 0xd800) {
    TRY(range_bytes(low, 0xd7ff, exit, starts));
    return range_bytes(0xd800, high, exit, starts);
  }
  if (low >= 0xd800 && low <= 0xdfff) return range_bytes(0xe000, high, exit, starts);
  for (u32 limit : {0x7fu, 0x7ffu, 0xffffu})  // ends of the 1-, 2- and 3-byte forms
    if (low <= limit && high > limit) {
      TRY(range_bytes(low, limit, exit, starts));
      return range_bytes(limit + 1, high, exit, starts);
    }
  char first[4], last[4];
  u32 length = utf8::encode(low, first);
  for (u32 i = 1; i < length; i++) {
    u32 tail = (1u << 6 * i) - 1;  // the bits of the last i bytes
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

// item{least,most}: copies in a row; each optional one can leave straight to the end.
Result<GbnfCompiler::Fragment> GbnfCompiler::repeat(Fragment one, u32 first, u32 least, u32 most) {
  u32 end_state = static_cast<u32>(out_.states_.size());
  bool unbounded = most == Grammar::kNone;
  u32 copies = unbounded ? least + 1 : most;
  u32 exit = TRY(jump()), start = TRY(jump()), tail = start;
  for (u32 i = 0; i < copies; i++) {
    // The last copy is the item itself, so that the others are made from an untouched one.
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

// ---- checks ---------------------------------------------------------------------------------

// Can `start` reach its rule's end without a byte? Adds the rules it may call on that way.
bool GbnfCompiler::reaches_return(u32 start, Vector<u32>& seen, u32 stamp, Vector<u32>* calls) {
  bool found = false;
  todo_.clear();
  // Room for every state is reserved by the caller, so that this cannot fail half way.
  auto add_state = [&](u32 s) {
    if (s == Grammar::kNone || seen[s] == stamp) return;
    seen[s] = stamp;
    (void)todo_.push_back(s);
  };
  add_state(start);
  while (!todo_.empty()) {
    State s = out_.states_[todo_.back()];
    todo_.pop_back();
    found |= s.kind == State::Kind::kReturn;
    if (s.kind == State::Kind::kSplit) {
      add_state(s.next);
      add_state(s.other);
    } else if (s.kind == State::Kind::kCall) {
      if (calls != nullptr) (void)calls->push_back(s.next);
      if (rules_[s.next].nullable) add_state(s.other);
    }
  }
  return found;
}

Result<void> GbnfCompiler::check_left_recursion() {
  Vector<u32> seen;
  TRY(seen.resize(out_.states_.size()));
  TRY(todo_.reserve(out_.states_.size()));
  u32 stamp = 0;
  for (bool changed = true; changed;) {
    changed = false;
    for (Rule& rule : rules_)
      if (!rule.nullable && reaches_return(rule.start, seen, ++stamp, nullptr))
        rule.nullable = changed = true;
  }
  // Rules whose first calls all lead to finished rules are finished; the rest are in a cycle.
  Vector<u32> calls, calls_of_one, first_call, open, callers_at, order;
  TRY(calls_of_one.reserve(out_.states_.size()));
  for (Rule& rule : rules_) {
    TRY(first_call.push_back(static_cast<u32>(calls.size())));
    calls_of_one.clear();
    (void)reaches_return(rule.start, seen, ++stamp, &calls_of_one);
    TRY(calls.append(calls_of_one.view()));
  }
  TRY(first_call.push_back(static_cast<u32>(calls.size())));
  TRY(open.resize(rules_.size()));
  TRY(callers_at.resize(rules_.size() + 1));
  Vector<u32> callers;
  TRY(callers.resize(calls.size()));
  for (u32 callee : calls) callers_at[callee + 1]++;
  for (usize i = 0; i < rules_.size(); i++) callers_at[i + 1] += callers_at[i];
  Vector<u32> fill = TRY(callers_at.clone());
  for (u32 rule = 0; rule < rules_.size(); rule++) {
    open[rule] = first_call[rule + 1] - first_call[rule];
    if (open[rule] == 0) TRY(order.push_back(rule));
    for (u32 c = first_call[rule]; c < first_call[rule + 1]; c++) callers[fill[calls[c]]++] = rule;
  }
  for (usize i = 0; i < order.size(); i++)
    for (u32 c = callers_at[order[i]]; c < callers_at[order[i] + 1]; c++)
      if (--open[callers[c]] == 0) TRY(order.push_back(callers[c]));
  for (u32 rule = 0; rule < rules_.size(); rule++)
    if (open[rule] != 0) return error("rule is left-recursive:", rules_[rule].name);
  return {};
}

// Two bytes are of one class when every range has both or neither.
void GbnfCompiler::assign_classes() {
  bool begins[257] = {};
  begins[0] = true;
  for (const State& s : out_.states_) {
    if (s.kind != State::Kind::kRange || s.low > s.high) continue;
    begins[s.low] = true;
    begins[s.high + 1] = true;
  }
  u32 current = 0;
  for (u32 byte = 0; byte < 256; byte++) {
    if (byte > 0 && begins[byte]) current++;
    out_.classes_[byte] = static_cast<u8>(current);
  }
  out_.class_count_ = current + 1;
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
  return from_gbnf(text.view(), tokens, problem);
}

}  // namespace ai
