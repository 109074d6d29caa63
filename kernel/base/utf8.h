// SPDX-License-Identifier: GPL-2.0-or-later
// Decodes and encodes UTF-8 one character at a time, strictly (RFC 3629): no overlong form, no
// surrogate, no U+110000. Any context.
#pragma once

#include <string_view>

#include "kernel/base/types.h"

namespace utf8 {

constexpr u32 kReplacement = 0xfffd;

struct Decoded {
  u32 code_point = kReplacement;
  u32 bytes = 0;  // bytes consumed, 1 to 4; for a broken sequence its valid beginning, at least 1
  bool valid = false;
  bool incomplete = false;  // `text` ended inside a sequence that was valid so far
};

// Decodes the first character. `text` must not be empty.
inline Decoded decode(std::string_view text) {
  auto byte = [&](usize i) { return static_cast<u8>(text[i]); };
  u8 lead = byte(0);
  if (lead < 0x80) return {lead, 1, true, false};
  u32 length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4) return {kReplacement, 1, false, false};
  // The range of the second byte excludes overlong forms, surrogates and code points past U+10FFFF.
  u8 low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  u8 high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  u32 value = lead & (0x7fu >> length);
  for (u32 i = 1; i < length; i++) {
    if (i == text.size()) return {kReplacement, i, false, true};
    if (byte(i) < low || byte(i) > high) return {kReplacement, i, false, false};
    value = value << 6 | (byte(i) & 0x3f);
    low = 0x80, high = 0xbf;
  }
  return {value, length, true, false};
}

// Writes 1 to 4 bytes to `out` and returns their number. `code_point` is at most U+10FFFF.
inline u32 encode(u32 code_point, char* out) {
  if (code_point < 0x80) {
    out[0] = static_cast<char>(code_point);
    return 1;
  }
  u32 length = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
  for (u32 i = length - 1; i > 0; i--, code_point >>= 6)
    out[i] = static_cast<char>(0x80 | (code_point & 0x3f));
  out[0] = static_cast<char>((0xf00u >> length & 0xff) | code_point);
  return length;
}

inline bool valid(std::string_view text) {
  while (!text.empty()) {
    Decoded d = decode(text);
    if (!d.valid) return false;
    text.remove_prefix(d.bytes);
  }
  return true;
}

}  // namespace utf8
