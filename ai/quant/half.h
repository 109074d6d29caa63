// SPDX-License-Identifier: GPL-2.0-or-later
// Converts between float and the 16-bit and 8-bit float formats of GGUF: exact widening, rounding
// to nearest even. Integer operations only, so every CPU and compiler gives the same bits.
#pragma once

#include <bit>

#include "kernel/base/types.h"

namespace ai {

constexpr float f16_to_f32(u16 half) {
  u32 sign = static_cast<u32>(half & 0x8000) << 16;
  u32 rest = half & 0x7fff;
  if (rest >= 0x7c00)  // infinity, or NaN, which becomes quiet as the CPU's conversion does it
    return std::bit_cast<float>(sign | 0x7f800000 | (rest & 0x3ff) << 13 |
                                (rest > 0x7c00 ? 0x400000u : 0u));
  if (rest >= 0x400) return std::bit_cast<float>(sign | ((rest << 13) + (112u << 23)));
  // A denormal is a small integer times 2^-24; both are exact.
  float magnitude = static_cast<float>(rest) * 0x1p-24f;
  return std::bit_cast<float>(sign | std::bit_cast<u32>(magnitude));
}

constexpr u16 f32_to_f16(float value) {
  u32 bits = std::bit_cast<u32>(value);
  u32 sign = bits >> 16 & 0x8000;
  u32 rest = bits & 0x7fffffff;
  if (rest > 0x7f800000) return static_cast<u16>(sign | 0x7e00 | (rest >> 13 & 0x3ff));
  // 65520 and more round to infinity
  if (rest >= 0x477ff000) return static_cast<u16>(sign | 0x7c00);
  if (rest < 0x38800000) {  // below 2^-14: denormal
    // Adding 0.5 moves multiples of 2^-24 into the mantissa; the addition itself rounds.
    float shifted = std::bit_cast<float>(rest) + 0.5f;
    return static_cast<u16>(sign | (std::bit_cast<u32>(shifted) - 0x3f000000));
  }
  u32 odd = rest >> 13 & 1;
  return static_cast<u16>(sign | ((rest - (112u << 23) + 0xfff + odd) >> 13));
}

constexpr float bf16_to_f32(u16 brain) {
  return std::bit_cast<float>(static_cast<u32>(brain) << 16);
}

// Returns half of the power of two 2^(e - 127), because MXFP4's values are stored doubled (OCP MX
// 1.0, 5.3.3).
constexpr float e8m0_half_to_f32(u8 exponent) {
  return std::bit_cast<float>(exponent < 2 ? 0x00200000u << exponent
                                           : static_cast<u32>(exponent - 1) << 23);
}

}  // namespace ai
