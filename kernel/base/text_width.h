// SPDX-License-Identifier: GPL-2.0-or-later
// Text as a terminal shows it: the columns of a character (UAX #11 in coarse ranges), and
// characters assembled from single bytes. Any context.
#pragma once

#include <string_view>

#include "kernel/base/utf8.h"

namespace base {

// Returns the columns of a character: 0 (combining, control), 1 or 2 (East Asian, emoji).
u32 display_width(u32 code);
u32 display_width(std::string_view text);

// Joins single bytes into characters. Broken ones become utf8::kReplacement.
class Utf8Assembler {
 public:
  struct Out {
    u32 codes[2];
    u32 count;
  };
  // Returns up to two characters: a broken sequence that this byte ends, then the byte's own.
  Out feed(u8 byte);
  bool pending() const { return size_ > 0; }
  // Ends the input. Returns true if it dropped an unfinished sequence (show utf8::kReplacement).
  bool flush();

 private:
  char bytes_[4] = {};
  usize size_ = 0;
};

}  // namespace base
