// SPDX-License-Identifier: GPL-2.0-or-later
// The two CRC-32s of disk formats: IEEE 802.3 (GPT) and Castagnoli (ext4). Any context.
#pragma once

#include <array>
#include <span>

#include "kernel/base/types.h"

namespace fs {

// Reflected, without the final complement: callers chain parts, and complement the result if their
// format does.
template <u32 kPolynomial>
class Crc32 {
 public:
  static u32 update(u32 crc, std::span<const Byte> bytes) {
    for (Byte b : bytes) crc = kTable[(crc ^ b) & 0xff] ^ crc >> 8;
    return crc;
  }

 private:
  static constexpr std::array<u32, 256> make() {
    std::array<u32, 256> table{};
    for (u32 i = 0; i < 256; i++) {
      u32 c = i;
      for (int bit = 0; bit < 8; bit++) c = (c & 1) != 0 ? c >> 1 ^ kPolynomial : c >> 1;
      table[i] = c;
    }
    return table;
  }
  static constexpr std::array<u32, 256> kTable = make();
};

using Crc32Ieee = Crc32<0xedb88320>;
using Crc32c = Crc32<0x82f63b78>;

}  // namespace fs
