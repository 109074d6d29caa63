// SPDX-License-Identifier: GPL-2.0-or-later
// Stop strings over a stream of text: no character of one is ever let out, however it was cut.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/containers.h"

namespace ai {

class StopStrings {
 public:
  static constexpr usize kMost = 16, kMostBytes = 1024;  // strings; bytes of one

  // Copies the strings. Empty ones and too many are kInvalidArgument.
  static Result<StopStrings> create(std::span<const std::string_view> strings);

  // Appends to `out` the text that can no longer belong to a stop string: a feed of n bytes lets
  // out at most n + longest(). True when one was completed: `out` then ends just before it, and
  // nothing may be fed any more. The one that is completed first wins; of two completed by the same
  // byte the longer.
  Result<bool> feed(std::string_view text, Vector<char>& out);
  // The text has ended without a stop string: what was held back comes out.
  Result<void> finish(Vector<char>& out);
  usize longest() const { return longest_; }
  u32 completed() const { return completed_; }  // its index, once feed() has said true

 private:
  struct Pattern {
    String text;
    Vector<u16> fallback;  // (size) length of the longest border of the first i + 1 bytes
    usize matched = 0;     // bytes of the pattern that the stream now ends with
  };
  static void advance(Pattern& pattern, char byte);

  Vector<Pattern> patterns_;
  Vector<char> held_;  // the end of the stream that may be the beginning of a stop string
  usize longest_ = 0;
  u32 completed_ = 0;
};

}  // namespace ai
