// SPDX-License-Identifier: GPL-2.0-or-later
// Joins the pieces of tokens into whole UTF-8 characters. Bytes that cannot form one become U+FFFD.
#pragma once

#include <string_view>

#include "kernel/base/containers.h"

namespace ai {

class Utf8Stream {
 public:
  // A feed of n bytes appends at most this many.
  static constexpr usize most_out(usize n) { return (n + 3) * 3; }

  // Appends the characters that are complete, and keeps back at most three bytes.
  Result<void> feed(std::string_view bytes, Vector<char>& out);
  // The text has ended: an incomplete character becomes one U+FFFD.
  Result<void> finish(Vector<char>& out);
  bool holds() const { return held_ > 0; }

 private:
  char kept_[4] = {};
  u32 held_ = 0;
};

}  // namespace ai
