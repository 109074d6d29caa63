// SPDX-License-Identifier: GPL-2.0-or-later
// Random numbers for ids, ports and keys of hashes: a generator that entropy() seeds.
#pragma once

#include <span>

#include "kernel/crypto/sha256.h"

namespace crypto {

// Generates bytes that cannot be told from random ones without the key. No output shows the key,
// and each fill() replaces it, so memory that is read later does not reveal earlier output.
class Generator {
 public:
  ~Generator();
  void mix(std::span<const Byte> secret);  // adds entropy to the key
  void fill(std::span<Byte> out);

 private:
  Sha256Digest block(u8 purpose);

  Sha256Digest key_{};
  u64 blocks_ = 0;
};

// Fills `out` from the machine's own generator. The first call reads the sources of entropy() (a
// millisecond if the processor has no random numbers); later ones cost one hash per 32 bytes. None
// yields. For threads of CPU 0.
void random_fill(std::span<Byte> out);
u64 random_u64();
// Returns false if entropy() had no source. The numbers then differ between boots, but who knows
// when the machine was started may guess them.
bool random_is_secret();

}  // namespace crypto
