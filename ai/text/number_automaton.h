// SPDX-License-Identifier: GPL-2.0-or-later
// The decimal texts of the numbers that bounds and steps allow, as an automaton that reads digits.
#pragma once

#include "ai/text/exact_decimal.h"
#include "ai/text/text_automaton.h"

namespace ai {

struct NumberRules {
  struct Bound {
    bool given = false, open = false;  // open: the bound itself is excluded
    ExactDecimal value;
  };
  bool whole = false;     // only whole numbers
  bool no_whole = false;  // only others
  Bound low, high;
  bool stepped = false;
  ExactDecimal step;

  bool free() const { return !no_whole && !low.given && !high.given && !stepped; }
  // Keep the narrower of two bounds.
  void raise_low(const ExactDecimal& value, bool open);
  void lower_high(const ExactDecimal& value, bool open);
};

// Numbers are written without an exponent and without "-0". A whole number has at most 18 digits,
// or as many as a bound has; others have 15 together, so that every reader keeps them apart.
Result<TextAutomaton> number_automaton(const NumberRules& rules, Work& work);

}  // namespace ai
