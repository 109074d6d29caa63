// SPDX-License-Identifier: GPL-2.0-or-later
// Exact decimals of any JSON number.
#include "ai/text/exact_decimal.h"

#include <algorithm>

namespace ai {

Result<ExactDecimal> ExactDecimal::from(std::string_view text) {
  constexpr i32 kMaxExponent = 1'000'000;
  ExactDecimal made;
  if (text.starts_with('-')) made.negative_ = true, text.remove_prefix(1);
  bool fraction = false;
  usize i = 0;
  u32 zeros = 0;  // met, and not written yet
  for (; i < text.size() && text[i] != 'e' && text[i] != 'E'; i++) {
    if (text[i] == '.') {
      fraction = true;
      continue;
    }
    made.exponent_ -= fraction;
    zeros += text[i] == '0';
    if (text[i] == '0') continue;
    for (; zeros > 0 && !made.digits_.empty(); zeros--)
      if (!made.digits_.push_back('0'))
        return fail(Errc::kInvalidArgument, "a number has more than 400 digits");
    zeros = 0;
    if (!made.digits_.push_back(text[i]))
      return fail(Errc::kInvalidArgument, "a number has more than 400 digits");
  }
  made.exponent_ += static_cast<i32>(zeros);
  if (i < text.size()) {
    bool minus = text.substr(i + 1).starts_with('-');
    i32 power = 0;
    for (char c : text.substr(i + 1)) {
      if (c < '0' || c > '9') continue;
      power = power * 10 + (c - '0');
      if (power > kMaxExponent)
        return fail(Errc::kInvalidArgument, "a number has an exponent above a million");
    }
    made.exponent_ += minus ? -power : power;
  }
  if (made.digits_.empty()) made.exponent_ = 0, made.negative_ = false;
  return made;
}

int ExactDecimal::compare_magnitude(const ExactDecimal& a, const ExactDecimal& b) {
  if (a.zero() || b.zero()) return static_cast<int>(!a.zero()) - static_cast<int>(!b.zero());
  if (a.whole_digits() != b.whole_digits()) return a.whole_digits() < b.whole_digits() ? -1 : 1;
  // No digits end with a zero, so the longer of two that begin alike is the larger one.
  return a.digits().compare(b.digits());
}

int ExactDecimal::compare(const ExactDecimal& a, const ExactDecimal& b) {
  if (a.negative_ != b.negative_) return a.negative_ ? -1 : 1;
  int order = compare_magnitude(a, b);
  return a.negative_ ? -order : order;
}

Result<bool> ExactDecimal::multiple_of(const ExactDecimal& step) const {
  constexpr usize kMaxStep = 18;
  if (step.zero() || step.digits_.size() > kMaxStep)
    return fail(Errc::kInvalidArgument, "multipleOf must be above 0 and have at most 18 digits");
  if (zero()) return true;
  // A multiple of ten times a whole number ends with a zero, which these digits do not.
  if (exponent_ < step.exponent_) return false;
  u64 modulus = 0, rest = 0;
  for (char c : step.digits()) modulus = modulus * 10 + static_cast<u64>(c - '0');
  // A modulus of 18 digits leaves room for one digit more in 64 bits.
  for (char c : digits()) rest = (rest * 10 + static_cast<u64>(c - '0')) % modulus;
  for (i32 zeros = exponent_ - step.exponent_; zeros > 0 && rest != 0; zeros--)
    rest = rest * 10 % modulus;
  return rest == 0;
}

}  // namespace ai
