// SPDX-License-Identifier: GPL-2.0-or-later
// "Did you mean …?": the edit distance of two short words. Any context.
#pragma once

#include <string_view>

#include "kernel/base/types.h"

namespace base {

constexpr usize kLongestCompared = 48;  // characters; longer words are never near to anything

// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`
// (optimal string alignment); ~0 when either is longer than kLongestCompared.
usize edit_distance(std::string_view a, std::string_view b);

// Keeps the best of the candidates shown to it, if one is near enough to be worth suggesting.
class Nearest {
 public:
  explicit Nearest(std::string_view wanted) : wanted_(wanted) {}
  void consider(std::string_view candidate);
  std::string_view best() const { return best_; }  // empty: nothing is near

 private:
  std::string_view wanted_;
  std::string_view best_;
  usize distance_ = ~usize{0};
};

}  // namespace base
