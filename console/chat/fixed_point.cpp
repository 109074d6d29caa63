// SPDX-License-Identifier: GPL-2.0-or-later
// Computes e^x by splitting off powers of two: e^x = 2^k * e^r, r in [0, ln 2), with a short series
// for e^r.
#include "console/chat/fixed_point.h"

#include <algorithm>

namespace console {

u64 exp_milli(u64 micro) {
  constexpr u64 kLn2 = 2'977'044'472;  // ln 2 * 2^32
  constexpr u64 kMostMicro = 30'000'000;
  if (micro > kMostMicro) micro = kMostMicro;
  u64 x = (micro << 32) / 1'000'000;  // 32 fraction bits; fits: 30e6 * 2^32 < 2^57
  u64 k = x / kLn2;
  u64 r = x % kLn2;
  u64 sum = u64{1} << 32, term = sum;
  for (u64 n = 1; n <= 14; n++) {
    term = (term * r >> 32) / n;  // r < 2^32 and term <= 2^32: the product fits 64 bits
    sum += term;
  }
  // sum < 2^33 and k <= 43. It is scaled in two parts, so that nothing below the point is lost.
  u64 whole = sum >> 32, fraction = sum & 0xffffffff;
  u64 milli_fraction = fraction * 1000;
  u64 shifted = k <= 20 ? (milli_fraction << k) >> 32 : (milli_fraction >> (32 - 20)) << (k - 20);
  return ((whole * 1000) << k) + shifted;
}

i64 float_bits_to_micro(u32 bits) {
  constexpr i64 kMost = i64{1} << 40;
  i32 exponent = static_cast<i32>(bits >> 23 & 0xff);
  u64 mantissa = bits & 0x7fffff;
  if (exponent == 0xff && mantissa != 0) return 0;
  if (exponent != 0) mantissa |= 1 << 23;
  i32 shift = 150 - std::max(exponent, 1);  // value = mantissa / 2^shift
  u64 scaled = mantissa * 1'000'000;        // < 2^44
  u64 micro = 0;
  if (shift <= 0) {
    micro = shift < -19 ? static_cast<u64>(kMost) : scaled << -shift;
  } else if (shift < 64) {
    micro = (scaled + (u64{1} << (shift - 1))) >> shift;
  }
  i64 value = static_cast<i64>(std::min(micro, static_cast<u64>(kMost)));
  return bits >> 31 != 0 ? -value : value;
}

}  // namespace console
