// SPDX-License-Identifier: GPL-2.0-or-later
// Finds the word for "did you mean …?" by the edit distance of short words. Any context.
#pragma once

#include <string_view>

#include "kernel/base/types.h"

namespace base {

constexpr usize kLongestCompared = 48;  // characters; longer words never match

// Returns how many insertions, deletions, substitutions and swaps of neighbours turn `a` into `b`
// (optimal string alignment). Returns ~0 if either is longer than kLongestCompared.
usize edit_distance(std::string_view a, std::string_view b);

// Keeps the best of the candidates it is shown, if one is near enough to be suggested.
class Nearest {
 public:
  explicit Nearest(std::string_view wanted) : wanted_(wanted) {}
  void consider(std::string_view candidate);
  std::string_view best() const { return best_; }  // empty if nothing is near

 private:
  std::string_view wanted_;
  std::string_view best_;
  usize distance_ = ~usize{0};
};

}  // namespace base
