// SPDX-License-Identifier: GPL-2.0-or-later
// Computes the edit distance with three rolling rows. Two are enough for Levenshtein; swaps look
// one row further back.
#include "kernel/base/nearest.h"

#include <algorithm>
#include <array>

namespace base {

usize edit_distance(std::string_view a, std::string_view b) {
  if (a.size() > kLongestCompared || b.size() > kLongestCompared) return ~usize{0};
  std::array<std::array<usize, kLongestCompared + 1>, 3> rows{};
  for (usize j = 0; j <= b.size(); j++) rows[0][j] = j;
  for (usize i = 1; i <= a.size(); i++) {
    auto& now = rows[i % 3];
    const auto& last = rows[(i - 1) % 3];
    const auto& before_last = rows[(i + 1) % 3];
    now[0] = i;
    for (usize j = 1; j <= b.size(); j++) {
      usize substitution = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, substitution});
      bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) now[j] = std::min(now[j], before_last[j - 2] + 1);
    }
  }
  return rows[a.size() % 3][b.size()];
}

void Nearest::consider(std::string_view candidate) {
  // A third of the word may be wrong. Words of two letters or more may always have one mistake.
  usize allowed = std::max<usize>(wanted_.size() >= 2 ? 1 : 0, wanted_.size() / 3);
  usize distance = edit_distance(wanted_, candidate);
  bool starts_alike = wanted_.size() >= 2 && candidate.starts_with(wanted_);
  if (distance > allowed && starts_alike) distance = allowed;
  if (distance > allowed || distance >= distance_) return;
  distance_ = distance;
  best_ = candidate;
}

}  // namespace base
