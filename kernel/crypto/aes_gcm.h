// SPDX-License-Identifier: GPL-2.0-or-later
// AES-128 and AES-256 in Galois/Counter Mode (FIPS 197, SP 800-38D) in constant time: bit-sliced,
// no table that a secret indexes, no branch on a secret, general registers only.
#pragma once

#include <span>

#include "kernel/base/types.h"

namespace crypto {

constexpr usize kAesBlockBytes = 16;
constexpr u32 kAesMostRounds = 14;

// A key as FIPS 197, 5.2 expands it.
struct AesRoundKeys {
  Byte bytes[(kAesMostRounds + 1) * kAesBlockBytes] = {};
  u32 rounds = 0;

  // `key` has 16 or 32 bytes; false for any other number.
  [[nodiscard]] bool expand(std::span<const Byte> key);
};

constexpr usize kGcmNonceBytes = 12, kGcmTagBytes = 16;
using GcmNonce = std::span<const Byte, kGcmNonceBytes>;

// What one key needs for messages; made in about 2 us, wiped at its end.
class AesGcm {
 public:
  explicit AesGcm(const AesRoundKeys& key);
  ~AesGcm();
  AesGcm(const AesGcm&) = delete;
  AesGcm& operator=(const AesGcm&) = delete;

  // `out` is as long as `in`; both may be the same memory. A nonce serves once.
  void seal(GcmNonce nonce, std::span<const Byte> aad, std::span<const Byte> in, Byte* out,
            std::span<Byte, kGcmTagBytes> tag) const;
  // False: somebody changed the message; `out` is then untouched.
  [[nodiscard]] bool open(GcmNonce nonce, std::span<const Byte> aad, std::span<const Byte> in,
                          Byte* out, std::span<const Byte> tag) const;

 private:
  using Planes = u64[8];  // plane p has bit p of 64 bytes: four blocks side by side
  void encrypt(Byte (&blocks)[4 * kAesBlockBytes]) const;
  void count(GcmNonce nonce, std::span<const Byte> in, Byte* out) const;
  void authenticate(GcmNonce nonce, std::span<const Byte> aad, std::span<const Byte> sealed,
                    Byte (&tag)[kGcmTagBytes]) const;

  Planes keys_[kAesMostRounds + 1];
  u32 rounds_;
  unsigned __int128 hash_key_;
};

}  // namespace crypto
