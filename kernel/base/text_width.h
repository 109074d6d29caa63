// SPDX-License-Identifier: GPL-2.0-or-later
// Text as a terminal sees it: columns of a character, and characters from single bytes.
// (UAX #11 for widths, in coarse ranges.) Any context.
#pragma once

#include <string_view>

#include "kernel/base/utf8.h"

namespace base {

// Columns that a character takes: 0 (combining, control), 1 or 2 (East Asian, emoji).
u32 display_width(u32 code);
u32 display_width(std::string_view text);

// Joins bytes that come one at a time into characters; broken ones become utf8::kReplacement.
class Utf8Assembler {
 public:
  struct Out {
    u32 codes[2];
    u32 count;
  };
  // Up to two characters: a broken sequence that a byte ends, then that byte's own.
  Out feed(u8 byte);
  bool pending() const { return size_ > 0; }
  // Ends the input: true when an unfinished sequence was dropped (show utf8::kReplacement).
  bool flush();

 private:
  char bytes_[4] = {};
  usize size_ = 0;
};

}  // namespace base
