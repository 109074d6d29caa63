// SPDX-License-Identifier: GPL-2.0-or-later
// Random numbers at any time, for ids, ports, keys of hashes: a generator that entropy() seeds.
#pragma once

#include <span>

#include "kernel/crypto/sha256.h"

namespace crypto {

// Bytes that nobody can tell from chance without knowing its key, which no output shows and each
// fill() replaces: who reads the memory later does not learn what was given before.
class Generator {
 public:
  ~Generator();
  void mix(std::span<const Byte> secret);  // adds to what the key has
  void fill(std::span<Byte> out);

 private:
  Sha256Digest block(u8 purpose);

  Sha256Digest key_{};
  u64 blocks_ = 0;
};

// From the machine's own generator. The first call reads the sources of entropy() (a millisecond
// where the processor has no random numbers), later ones cost a hash for 32 bytes; none gives way.
// Thread context of CPU 0.
void random_fill(std::span<Byte> out);
u64 random_u64();
// False: entropy() had nothing. Then numbers differ from start to start, but whoever knows when
// the machine was started may guess them.
bool random_is_secret();

}  // namespace crypto
