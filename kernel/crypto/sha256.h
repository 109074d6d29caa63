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

constexpr usize kSha256Block = 64;  // bytes
// Takes whole blocks into a state of 8 words.
using Sha256Blocks = void (*)(u32* state, const Byte* at, usize blocks);
void sha256_blocks(u32* state, const Byte* at, usize blocks);  // the standard's own words

class Sha256 {
 public:
  void update(std::span<const Byte> bytes);
  Sha256Digest finish();  // call once

 private:
  friend class Sha256By;
  void take(std::span<const Byte> bytes, Sha256Blocks blocks);

  u32 state_[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  Byte pending_[kSha256Block] = {};
  u64 bytes_ = 0;
};

// The same by another implementation of sha256_blocks(), which may use vector registers: for where
// those are allowed.
class Sha256By {
 public:
  explicit Sha256By(Sha256Blocks blocks) : blocks_(blocks) {}
  void update(std::span<const Byte> bytes) { sha_.take(bytes, blocks_); }
  Sha256Digest finish() { return sha_.finish(); }  // call once

 private:
  Sha256 sha_;
  Sha256Blocks blocks_;
};

Sha256Digest sha256(std::string_view text);

// Takes the same time for equal and for different digests.
bool equal_constant_time(const Sha256Digest& a, const Sha256Digest& b);

}  // namespace crypto
