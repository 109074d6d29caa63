// SPDX-License-Identifier: GPL-2.0-or-later
// Bytes as hexadecimal digits, and back. Any context, but for hex_text(), which allocates.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "kernel/base/containers.h"
#include "kernel/base/format.h"

namespace base {

constexpr std::optional<u8> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<u8>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<u8>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<u8>(c - 'A' + 10);
  return std::nullopt;
}

// Returns false unless the text is two digits for each byte of `out`, which then holds any bytes.
constexpr bool read_hex(std::string_view digits, std::span<Byte> out) {
  if (digits.size() != 2 * out.size()) return false;
  for (usize i = 0; i < out.size(); i++) {
    std::optional<u8> high = hex_digit(digits[2 * i]), low = hex_digit(digits[2 * i + 1]);
    if (!high || !low) return false;
    out[i] = static_cast<Byte>(*high << 4 | *low);
  }
  return true;
}

// The digits that are written are lower case.
constexpr std::array<char, 2> hex_digits(Byte byte) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  return {kDigits[byte >> 4], kDigits[byte & 15]};
}
inline void write_hex(std::span<const Byte> bytes, Writer& out) {
  for (Byte byte : bytes) {
    std::array<char, 2> digits = hex_digits(byte);
    out.write({digits.data(), digits.size()});
  }
}
inline Result<String> hex_text(std::span<const Byte> bytes) {
  String text;
  TRY(text.reserve(2 * bytes.size()));
  for (Byte byte : bytes) {
    std::array<char, 2> digits = hex_digits(byte);
    TRY(text.append({digits.data(), digits.size()}));
  }
  return text;
}

}  // namespace base
