// SPDX-License-Identifier: GPL-2.0-or-later
// Finds stop strings in a stream of text, with the automaton of Knuth, Morris and Pratt for each.
#include "ai/text/stop.h"

namespace ai {

Result<StopStrings> StopStrings::create(std::span<const std::string_view> strings) {
  if (strings.size() > kMost) return fail(Errc::kInvalidArgument, "more than 16 stop strings");
  StopStrings stop;
  for (std::string_view text : strings) {
    if (text.empty()) return fail(Errc::kInvalidArgument, "a stop string is empty");
    if (text.size() > kMostBytes)
      return fail(Errc::kInvalidArgument, "a stop string is longer than 1024 bytes");
    Pattern pattern;
    TRY(pattern.text.append(text));
    TRY(pattern.fallback.resize(text.size()));
    for (usize i = 1, n = 0; i < text.size(); i++) {
      while (n > 0 && text[i] != text[n]) n = pattern.fallback[n - 1];
      if (text[i] == text[n]) n++;
      pattern.fallback[i] = static_cast<u16>(n);
    }
    stop.longest_ = std::max(stop.longest_, text.size());
    TRY(stop.patterns_.push_back(std::move(pattern)));
  }
  TRY(stop.held_.reserve(stop.longest_));
  return stop;
}

void StopStrings::advance(Pattern& p, char byte) {
  while (p.matched > 0 && p.text[p.matched] != byte) p.matched = p.fallback[p.matched - 1];
  if (p.text[p.matched] == byte) p.matched++;
}

Result<bool> StopStrings::feed(std::string_view text, Vector<char>& out) {
  if (patterns_.empty()) {
    TRY(out.append(std::span<const char>(text.data(), text.size())));
    return false;
  }
  for (char byte : text) {
    TRY(held_.push_back(byte));
    usize keep = 0, stopped = 0;
    for (u32 i = 0; i < patterns_.size(); i++) {
      Pattern& p = patterns_[i];
      advance(p, byte);
      keep = std::max(keep, p.matched);
      if (p.matched < p.text.size() || p.matched <= stopped) continue;
      stopped = p.matched;
      completed_ = i;
    }
    usize free = held_.size() - (stopped > 0 ? stopped : keep);
    TRY(out.append(std::span<const char>(held_.data(), free)));
    if (stopped > 0) {
      held_.clear();
      return true;
    }
    std::memmove(held_.data(), held_.data() + free, keep);
    held_.truncate(keep);
  }
  return false;
}

Result<void> StopStrings::finish(Vector<char>& out) {
  TRY(out.append(held_.view()));
  held_.clear();
  return {};
}

}  // namespace ai
