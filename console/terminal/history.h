// SPDX-License-Identifier: GPL-2.0-or-later
// Lines typed before, oldest first, limited in number and bytes.
#pragma once

#include "kernel/base/containers.h"

namespace console {

class History {
 public:
  // Adds a line unless it is empty, repeats the last one, begins with a space (as shells do, for
  // secrets) or is too long.
  void add(std::string_view line);
  usize size() const { return lines_.size(); }
  std::string_view line(usize index) const { return lines_[index].view(); }

  // Returns the newest line before `below` that contains `part`, or size() if there is none.
  usize find(std::string_view part, usize below) const;

 private:
  static constexpr usize kLines = 500;
  static constexpr usize kBytes = 256 * kKiB;
  static constexpr usize kLongestKept = 64 * kKiB;
  Vector<String> lines_;
  usize bytes_ = 0;
};

}  // namespace console
