// SPDX-License-Identifier: GPL-2.0-or-later
// AES-128 and AES-256 in Galois/Counter Mode (FIPS 197, SP 800-38D): the one door to BearSSL, whose
// code is bit-sliced: no table that a secret indexes, no branch on a secret, general registers
// only.
#pragma once

#include <span>

#include "kernel/base/types.h"

namespace crypto {

// A key made ready; wiped at its end.
struct AesKey {
  u64 schedule[30] = {};  // in BearSSL's order of bits
  u32 rounds = 0;         // 0 = none yet

  AesKey() = default;
  AesKey(const AesKey&) = delete;
  AesKey& operator=(const AesKey&) = delete;
  ~AesKey();
  // `key` has 16 or 32 bytes; false for any other number.
  [[nodiscard]] bool expand(std::span<const Byte> key);
};

constexpr usize kGcmNonceBytes = 12, kGcmTagBytes = 16;
using GcmNonce = std::span<const Byte, kGcmNonceBytes>;

// `out` is as long as `in`; both may be the same memory. A nonce serves once. Any context.
void gcm_seal(const AesKey& key, GcmNonce nonce, std::span<const Byte> aad,
              std::span<const Byte> in, Byte* out, std::span<Byte, kGcmTagBytes> tag);
// False: somebody changed the message; `out` is then untouched.
[[nodiscard]] bool gcm_open(const AesKey& key, GcmNonce nonce, std::span<const Byte> aad,
                            std::span<const Byte> in, Byte* out, std::span<const Byte> tag);

}  // namespace crypto
