// SPDX-License-Identifier: GPL-2.0-or-later
// The control words of PSHUFB, which counts within 128 bits, for the `pick` of every table that
// uses it.
#pragma once

#include "kernel/base/types.h"

namespace ai {

constexpr int kPickZero = 0x80;

constexpr u32 pick_byte(int lane, int byte) {
  return static_cast<u32>(byte == kPickZero ? kPickZero : 4 * lane + byte);
}
// Returns the word that selects bytes a, b, c, d of the 32-bit lane number `lane`.
constexpr int pick_word(int lane, int a, int b, int c, int d) {
  return static_cast<int>(pick_byte(lane, a) | pick_byte(lane, b) << 8 | pick_byte(lane, c) << 16 |
                          pick_byte(lane, d) << 24);
}

}  // namespace ai
