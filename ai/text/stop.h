// SPDX-License-Identifier: GPL-2.0-or-later
// Finds stop strings in a stream of text. No character of a stop string is ever let out, however
// the text was cut into pieces.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/containers.h"

namespace ai {

class StopStrings {
 public:
  static constexpr usize kMost = 16, kMostBytes = 1024;  // strings; bytes per string

  // Copies the strings. Returns kInvalidArgument for an empty string or too many.
  static Result<StopStrings> create(std::span<const std::string_view> strings);

  // Appends the text that can no longer belong to a stop string to `out`; a feed of n bytes lets
  // out at most n + longest() bytes. Returns true when a stop string was completed: `out` then ends
  // just before it, and nothing may be fed any more. The string that is completed first wins; if
  // one byte completes two, the longer one does.
  Result<bool> feed(std::string_view text, Vector<char>& out);
  // The text has ended without a stop string: appends what was held back.
  Result<void> finish(Vector<char>& out);
  usize longest() const { return longest_; }
  // the index of the completed string, after feed() returned true
  u32 completed() const { return completed_; }

 private:
  struct Pattern {
    String text;
    Vector<u16> fallback;  // (size) length of the longest border of the first i + 1 bytes
    usize matched = 0;     // bytes of the pattern that the stream currently ends with
  };
  static void advance(Pattern& pattern, char byte);

  Vector<Pattern> patterns_;
  Vector<char> held_;  // the end of the stream, which may be the beginning of a stop string
  usize longest_ = 0;
  u32 completed_ = 0;
};

}  // namespace ai
