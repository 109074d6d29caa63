// SPDX-License-Identifier: GPL-2.0-or-later
// The value of a hexadecimal digit. Any context.
#pragma once

#include <optional>

#include "kernel/base/types.h"

namespace base {

constexpr std::optional<u8> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<u8>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<u8>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<u8>(c - 'A' + 10);
  return std::nullopt;
}

}  // namespace base
