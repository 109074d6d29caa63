// SPDX-License-Identifier: GPL-2.0-or-later
// Numbers of JSON as exact decimals: comparison, and whether one is a multiple of another. No
// rounding anywhere, because a bound of 2^63 - 1 or a step of 0.01 must hold to the last digit.
// Any context.
#pragma once

#include <string_view>

#include "kernel/base/containers.h"

namespace ai {

class ExactDecimal {
 public:
  static constexpr usize kMaxDigits = 400;  // without zeros at both ends

  // `text` is a number as JSON writes it. Fails if it has too many digits or too large an exponent.
  static Result<ExactDecimal> from(std::string_view text);

  bool negative() const { return negative_; }
  bool zero() const { return digits_.empty(); }
  bool whole() const { return exponent_ >= 0; }
  // The number is digits * 10^exponent; the digits neither begin nor end with a zero.
  std::string_view digits() const { return {digits_.begin(), digits_.size()}; }
  i32 exponent() const { return exponent_; }
  // Returns how many digits stand before the point; not positive for 0.05.
  i32 whole_digits() const { return static_cast<i32>(digits_.size()) + exponent_; }

  // Returns a number below, at or above 0.
  static int compare_magnitude(const ExactDecimal& a, const ExactDecimal& b);
  static int compare(const ExactDecimal& a, const ExactDecimal& b);
  // Fails if the step has more than 18 digits.
  Result<bool> multiple_of(const ExactDecimal& step) const;

 private:
  StaticVector<char, kMaxDigits> digits_;
  i32 exponent_ = 0;
  bool negative_ = false;
};

}  // namespace ai
