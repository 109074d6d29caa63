// SPDX-License-Identifier: GPL-2.0-or-later
// AES-128 and AES-256 in Galois/Counter Mode (FIPS 197, SP 800-38D). This is the only access to
// BearSSL, whose code is bit-sliced: no secret indexes a table or decides a branch, and it uses
// general registers only.
#pragma once

#include <span>

#include "kernel/base/types.h"

namespace crypto {

// An expanded key, which the destructor wipes.
struct AesKey {
  u64 schedule[30] = {};  // in BearSSL's order of bits
  u32 rounds = 0;         // 0 = no key yet

  AesKey() = default;
  AesKey(const AesKey&) = delete;
  AesKey& operator=(const AesKey&) = delete;
  ~AesKey();
  // `key` has 16 or 32 bytes; any other length returns false.
  [[nodiscard]] bool expand(std::span<const Byte> key);
};

constexpr usize kGcmNonceBytes = 12, kGcmTagBytes = 16;
using GcmNonce = std::span<const Byte, kGcmNonceBytes>;

// `out` is as long as `in`, and may be the same memory. A nonce must be used only once per key. Any
// context.
void gcm_seal(const AesKey& key, GcmNonce nonce, std::span<const Byte> aad,
              std::span<const Byte> in, Byte* out, std::span<Byte, kGcmTagBytes> tag);
// Returns false if the message was changed; `out` is then untouched.
[[nodiscard]] bool gcm_open(const AesKey& key, GcmNonce nonce, std::span<const Byte> aad,
                            std::span<const Byte> in, Byte* out, std::span<const Byte> tag);

}  // namespace crypto
