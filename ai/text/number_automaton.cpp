// SPDX-License-Identifier: GPL-2.0-or-later
// Builds automata of numbers. A state knows how the digits so far compare with the digits of each
// bound and what they leave when divided by the step.
#include "ai/text/number_automaton.h"

#include <algorithm>

#include "ai/text/name_index.h"

namespace ai {
namespace {

constexpr i32 kMaxPlaces = 40;  // before and behind the point
constexpr u32 kMaxRemainders = 1024;
constexpr u32 kMaxStates = 12 * 1024;
constexpr u32 kMaxCounted = 4500;  // remainders times digits

enum class Phase : u8 { kStart, kMinus, kZero, kWhole, kPoint, kFraction };
enum class Order : u8 { kBelow, kSame, kAbove };

// Is a key of the table of states, so it has no padding.
struct State {
  Phase phase = Phase::kStart;
  bool negative = false;
  bool nonzero = false;   // a digit other than 0 was read
  bool fraction = false;  // the same behind the point
  Order low = Order::kSame, high = Order::kSame;
  u8 wholes = 0, places = 0;  // digits before and behind the point
  u16 rest = 0;               // of the division by the step, or zeros at the end
  u8 room = 0;                // digits that may still follow behind the point
  u8 unused = 0;
};
static_assert(sizeof(State) == 12);

// The digits of a bound, aligned at its point.
struct Digits {
  bool given = false, open = false, negative = false, zero = false;
  StaticVector<char, kMaxPlaces> whole, fraction;

  Result<void> read(const NumberRules::Bound& bound) {
    given = bound.given;
    open = bound.open;
    negative = bound.value.negative();
    zero = bound.value.zero();
    std::string_view digits = bound.value.digits();
    i32 wholes = bound.value.whole_digits();
    if (!given || zero) return {};
    if (wholes > kMaxPlaces || bound.value.exponent() < -kMaxPlaces)
      return fail(Errc::kInvalidArgument,
                  "a bound has more than 40 digits before or behind its point");
    for (i32 i = 0; i < wholes; i++)
      (void)whole.push_back(static_cast<usize>(i) < digits.size() ? digits[static_cast<usize>(i)]
                                                                  : '0');
    for (i32 i = wholes; i < static_cast<i32>(digits.size()); i++)
      (void)fraction.push_back(i < 0 ? '0' : digits[static_cast<usize>(i)]);
    return {};
  }
};

Order order_of(char digit, char other) {
  return digit < other ? Order::kBelow : digit > other ? Order::kAbove : Order::kSame;
}

class NumberBuilder {
 public:
  NumberBuilder(const NumberRules& rules, Work& work) : rules_(rules), work_(work) {}

  Result<TextAutomaton> run() {
    TRY(prepare());
    TextAutomaton made;
    TRY(number_of({}));
    for (u32 i = 0; i < states_.size(); i++) {
      State state = *states_[i];
      TRY(made.add_node(accepts(state), work_));
      // In the order of their characters: "-" and "." stand before the digits.
      if (state.phase == Phase::kStart) TRY(edge(made, '-', minus(state)));
      if (state.phase == Phase::kZero || state.phase == Phase::kWhole)
        if (point(state).room > 0) TRY(edge(made, '.', point(state)));
      for (char digit = '0'; digit <= '9'; digit++)
        if (takes(state, digit)) TRY(edge(made, digit, after(state, digit)));
    }
    TRY(made.trim());
    if (made.nodes().size() <= 4096) TRY(made.minimize(work_));
    return made;
  }

 private:
  Result<void> prepare();
  Result<void> prepare_step();
  Result<u32> number_of(const State& state);
  Result<void> edge(TextAutomaton& made, char c, const State& to) {
    return made.add_edge(static_cast<u32>(c), static_cast<u32>(c), TRY(number_of(to)), work_);
  }
  static State minus(State s) {
    s.phase = Phase::kMinus;
    s.negative = true;
    return s;
  }
  State point(State s) const {
    s.phase = Phase::kPoint;
    s.low = whole_order(s, s.low, low_);
    s.high = whole_order(s, s.high, high_);
    u32 digits = most_digits_ > s.wholes ? most_digits_ - s.wholes : 0;
    s.room = static_cast<u8>(std::min(digits, most_places_));
    s.wholes = 0;
    return s;
  }
  bool takes(const State& s, char digit) const;
  State after(State s, char digit) const;
  bool accepts(const State& s) const;
  bool step_fits(const State& s) const;
  // A bound of the other sign is not compared digit by digit.
  bool compares(const State& s, const Digits& bound) const {
    return bound.given && !bound.zero && bound.negative == s.negative;
  }
  Order whole_order(const State& s, Order so_far, const Digits& bound) const {
    if (!compares(s, bound)) return Order::kSame;
    if (s.wholes != bound.whole.size())
      return s.wholes < bound.whole.size() ? Order::kBelow : Order::kAbove;
    return so_far;
  }
  int compare(const State& s, Order so_far, const Digits& bound) const;

  const NumberRules& rules_;
  Work& work_;
  Digits low_, high_;
  u32 most_bound_ = 0;  // digits before the point of a bound
  // A reader's number of 64 bits keeps 15 digits apart. Whole numbers may have more.
  u32 most_wholes_ = 18, most_places_ = 12, most_digits_ = 15;
  bool counted_ = true;  // are there at most most_wholes_ digits before the point?
  u32 modulus_ = 1;      // of the digits, with step_places_ behind the point
  u32 step_places_ = 0;
  u32 step_zeros_ = 0;  // the step is 10^this; `rest` then counts zeros at the end
  NameIndex index_;
  Vector<base::Owner<State>> states_;  // their bytes are the names of the index
};

Result<void> NumberBuilder::prepare() {
  // A bound that no text can reach is none, and a text that must reach one needs its digits.
  NumberRules rules = rules_;
  for (NumberRules::Bound* bound : {&rules.low, &rules.high}) {
    bool away = bound->value.negative() == (bound == &rules.low);
    if (bound->given && away && bound->value.whole_digits() > kMaxPlaces) bound->given = false;
  }
  for (auto [bound, digits] : {std::pair(&rules.low, &low_), std::pair(&rules.high, &high_)}) {
    TRY(digits->read(*bound));
    most_bound_ = std::max(most_bound_, static_cast<u32>(digits->whole.size()));
    most_places_ = std::max(most_places_, static_cast<u32>(digits->fraction.size()) + 1);
  }
  most_wholes_ = std::max(most_wholes_, most_bound_);
  if (rules_.stepped) TRY(prepare_step());
  if (rules_.whole)
    most_places_ = 0;
  else
    most_wholes_ = std::max(most_bound_ + (counted_ ? 0 : 1),
                            std::min(most_wholes_, rules_.no_whole ? 6u : 15u));
  return {};
}

Result<void> NumberBuilder::prepare_step() {
  const ExactDecimal& step = rules_.step;
  constexpr const char* kWhat =
      "multipleOf must be above 0; its digits make a number up to 1024, or a power of ten";
  if (step.zero() || step.negative() || step.digits().size() > 4)
    return fail(Errc::kInvalidArgument, kWhat);
  u64 modulus = 0;
  for (char c : step.digits()) modulus = modulus * 10 + static_cast<u64>(c - '0');
  if (modulus == 1 && step.exponent() > 0 && step.exponent() <= 18) {
    step_zeros_ = static_cast<u32>(step.exponent());
  } else {
    if (step.exponent() > 4 || step.exponent() < -15) return fail(Errc::kInvalidArgument, kWhat);
    for (i32 i = 0; i < step.exponent(); i++) modulus *= 10;
    if (modulus > kMaxRemainders) return fail(Errc::kInvalidArgument, kWhat);
  }
  modulus_ = static_cast<u32>(modulus);
  step_places_ = step.exponent() < 0 ? static_cast<u32>(-step.exponent()) : 0;
  most_places_ = step_places_;
  // Digits are counted if that does not take too many states. Else there may be any number of them.
  counted_ = modulus_ * 16 <= kMaxCounted;
  most_wholes_ = std::max(most_bound_ + 1, counted_ ? 16u : 0u);
  return {};
}

Result<u32> NumberBuilder::number_of(const State& state) {
  std::string_view bytes{reinterpret_cast<const char*>(&state), sizeof state};
  u32 known = index_.find(bytes);
  if (known != NameIndex::kNone) return known;
  if (states_.size() == kMaxStates) return fail(Errc::kInvalidArgument, Work::kTooMuch);
  TRY(work_.spend(8));
  TRY(states_.push_back(TRY(base::make<State>(state))));
  return index_.add({reinterpret_cast<const char*>(states_.back().get()), sizeof state});
}

bool NumberBuilder::takes(const State& s, char digit) const {
  switch (s.phase) {
    case Phase::kStart:
    case Phase::kMinus:
      return true;
    case Phase::kZero:
      return false;
    case Phase::kWhole:
      return !counted_ || s.wholes < most_wholes_;
    case Phase::kPoint:
    case Phase::kFraction:
      return s.room > 0;
  }
  return digit == 0;
}

State NumberBuilder::after(State s, char digit) const {
  bool behind = s.phase == Phase::kPoint || s.phase == Phase::kFraction;
  auto follow = [&](Order so_far, const Digits& bound) {
    if (!compares(s, bound) || so_far != Order::kSame) return so_far;
    if (behind)
      return order_of(digit, s.places < bound.fraction.size() ? bound.fraction[s.places] : '0');
    return s.wholes < bound.whole.size() ? order_of(digit, bound.whole[s.wholes]) : so_far;
  };
  bool leading_zero = !behind && s.phase != Phase::kWhole && digit == '0';
  if (!leading_zero) s.low = follow(s.low, low_), s.high = follow(s.high, high_);
  s.nonzero |= digit != '0';
  s.fraction |= behind && digit != '0';
  u32 value = static_cast<u32>(digit - '0');
  if (rules_.stepped)
    s.rest = static_cast<u16>(step_zeros_ == 0 ? (s.rest * 10u + value) % modulus_
                              : digit == '0'   ? std::min(s.rest + 1u, step_zeros_)
                                               : 0u);
  if (behind)
    s.places++, s.room--;
  else if (!leading_zero && s.wholes < most_wholes_)
    s.wholes++;
  s.phase = behind ? Phase::kFraction : leading_zero ? Phase::kZero : Phase::kWhole;
  return s;
}

bool NumberBuilder::step_fits(const State& s) const {
  if (!rules_.stepped || !s.nonzero) return true;
  if (step_zeros_ > 0) return s.rest == step_zeros_;
  u64 rest = s.rest;
  for (u32 i = s.places; i < step_places_; i++) rest = rest * 10 % modulus_;
  return rest == 0;
}

// Compares the number so far with a bound.
int NumberBuilder::compare(const State& s, Order so_far, const Digits& bound) const {
  bool negative = s.negative && s.nonzero;
  if (!s.nonzero || bound.zero) {
    int mine = !s.nonzero ? 0 : negative ? -1 : 1;
    int its = bound.zero ? 0 : bound.negative ? -1 : 1;
    return mine - its;
  }
  if (negative != bound.negative) return negative ? -1 : 1;
  Order order = s.phase == Phase::kFraction ? so_far : whole_order(s, so_far, bound);
  // The bound has further digits, the last of which is not zero.
  if (order == Order::kSame && s.places < bound.fraction.size()) order = Order::kBelow;
  int magnitude = static_cast<int>(order) - static_cast<int>(Order::kSame);
  return negative ? -magnitude : magnitude;
}

bool NumberBuilder::accepts(const State& s) const {
  bool ends = s.phase == Phase::kZero || s.phase == Phase::kWhole || s.phase == Phase::kFraction;
  if (!ends || (s.negative && !s.nonzero)) return false;
  if (rules_.no_whole && !s.fraction) return false;
  if (low_.given) {
    int order = compare(s, s.low, low_);
    if (order < 0 || (order == 0 && low_.open)) return false;
  }
  if (high_.given) {
    int order = compare(s, s.high, high_);
    if (order > 0 || (order == 0 && high_.open)) return false;
  }
  return step_fits(s);
}

}  // namespace

void NumberRules::raise_low(const ExactDecimal& value, bool open) {
  int order = low.given ? ExactDecimal::compare(value, low.value) : 1;
  if (order > 0)
    low = {true, open, value};
  else if (order == 0)
    low.open |= open;
}

void NumberRules::lower_high(const ExactDecimal& value, bool open) {
  int order = high.given ? ExactDecimal::compare(value, high.value) : -1;
  if (order < 0)
    high = {true, open, value};
  else if (order == 0)
    high.open |= open;
}

Result<TextAutomaton> number_automaton(const NumberRules& rules, Work& work) {
  return NumberBuilder(rules, work).run();
}

}  // namespace ai
