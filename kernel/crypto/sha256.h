// SPDX-License-Identifier: GPL-2.0-or-later
// SHA-256 (FIPS 180-4, 6.2) over whole messages or pieces, and comparison in constant time. Any
// context.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "kernel/base/types.h"

namespace crypto {

using Sha256Digest = std::array<Byte, 32>;

class Sha256 {
 public:
  void update(std::span<const Byte> bytes);
  Sha256Digest finish();  // call once

 private:
  void block(const Byte* at);

  u32 state_[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  Byte pending_[64] = {};
  u64 bytes_ = 0;
};

Sha256Digest sha256(std::string_view text);

// Takes the same time for equal and for different digests.
bool equal_constant_time(const Sha256Digest& a, const Sha256Digest& b);

}  // namespace crypto
