// SPDX-License-Identifier: GPL-2.0-or-later
// GPT-2's alphabet: 256 printable characters that represent the 256 bytes.
//
// Printable Latin-1 bytes represent themselves; the other 68 are, in order, U+0100 and up.
#pragma once

#include <array>
#include <optional>

#include "kernel/base/containers.h"
#include "kernel/base/utf8.h"

namespace ai {

constexpr bool stands_for_itself(u32 byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte != 0xad);
}

// The bytes that U+0100 and up represent.
constexpr std::array<u8, 68> kShiftedBytes = [] {
  std::array<u8, 68> shifted{};
  usize count = 0;
  for (u32 byte = 0; byte < 0x100; byte++) {
    if (!stands_for_itself(byte)) shifted[count++] = static_cast<u8>(byte);
  }
  return shifted;
}();

constexpr std::optional<u8> byte_of_character(u32 code) {
  if (code < 0x100 && stands_for_itself(code)) return static_cast<u8>(code);
  if (code >= 0x100 && code - 0x100 < kShiftedBytes.size()) return kShiftedBytes[code - 0x100];
  return std::nullopt;
}

// Appends the bytes that `text` represents. Returns false, with `out` unchanged, if a character is
// not in the alphabet.
inline Result<bool> append_bytes(std::string_view text, String& out) {
  usize begin = out.size();
  while (!text.empty()) {
    utf8::Decoded c = utf8::decode(text);
    auto byte = c.valid ? byte_of_character(c.code_point) : std::nullopt;
    if (!byte) {
      out.truncate(begin);
      return false;
    }
    TRY(out.push_back(static_cast<char>(*byte)));
    text.remove_prefix(c.bytes);
  }
  return true;
}

}  // namespace ai
