// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps the history of typed lines.
#include "console/terminal/history.h"

namespace console {

void History::add(std::string_view line) {
  if (line.empty() || line.front() == ' ' || line.size() > kLongestKept) return;
  if (!lines_.empty() && lines_.back().view() == line) return;
  while (!lines_.empty() && (lines_.size() >= kLines || bytes_ + line.size() > kBytes)) {
    bytes_ -= lines_[0].size();
    lines_.erase(0);
  }
  Result<String> kept = String::from(line);
  // Out of memory: the line is not remembered, which is not worth an error.
  if (kept.has_value() && lines_.push_back(std::move(*kept)).has_value()) bytes_ += line.size();
}

usize History::find(std::string_view part, usize below) const {
  for (usize i = std::min(below, lines_.size()); i > 0; i--)
    if (lines_[i - 1].view().find(part) != std::string_view::npos) return i - 1;
  return lines_.size();
}

}  // namespace console
