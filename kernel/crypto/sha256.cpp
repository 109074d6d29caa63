// SPDX-License-Identifier: GPL-2.0-or-later
// Implements SHA-256 as the standard describes it.
#include "kernel/crypto/sha256.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace crypto {
namespace {

// The first 32 bits of the fractional parts of the cube roots of the first 64 primes (4.2.2).
constexpr u32 kRound[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

u32 load_be(const Byte* at) {
  u32 word;
  std::memcpy(&word, at, sizeof word);
  return __builtin_bswap32(word);
}

}  // namespace

void Sha256::block(const Byte* at) {
  u32 w[64];
  for (u32 i = 0; i < 16; i++) w[i] = load_be(at + i * 4);
  for (u32 i = 16; i < 64; i++) {
    u32 s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
    u32 s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  std::array<u32, 8> v = std::to_array(state_);
  for (u32 i = 0; i < 64; i++) {
    u32 s1 = std::rotr(v[4], 6) ^ std::rotr(v[4], 11) ^ std::rotr(v[4], 25);
    u32 choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
    u32 t1 = v[7] + s1 + choice + kRound[i] + w[i];
    u32 s0 = std::rotr(v[0], 2) ^ std::rotr(v[0], 13) ^ std::rotr(v[0], 22);
    u32 majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
    std::copy_backward(v.begin(), v.end() - 1, v.end());
    v[4] += t1;
    v[0] = t1 + s0 + majority;
  }
  for (u32 i = 0; i < 8; i++) state_[i] += v[i];
}

void Sha256::update(std::span<const Byte> bytes) {
  usize held = bytes_ % 64;
  bytes_ += bytes.size();
  while (!bytes.empty()) {
    usize part = std::min(bytes.size(), 64 - held);
    std::copy_n(bytes.begin(), part, pending_ + held);
    bytes = bytes.subspan(part);
    held += part;
    if (held == 64) {
      block(pending_);
      held = 0;
    }
  }
}

Sha256Digest Sha256::finish() {
  u64 bits = bytes_ * 8;
  const Byte one = 0x80, zero = 0;
  update({&one, 1});
  while (bytes_ % 64 != 56) update({&zero, 1});
  Byte length[8];
  for (u32 i = 0; i < 8; i++) length[i] = static_cast<Byte>(bits >> (56 - 8 * i));
  update(length);
  Sha256Digest digest;
  for (u32 i = 0; i < 32; i++) digest[i] = static_cast<Byte>(state_[i / 4] >> (24 - 8 * (i % 4)));
  return digest;
}

Sha256Digest sha256(std::string_view text) {
  Sha256 hash;
  hash.update({reinterpret_cast<const Byte*>(text.data()), text.size()});
  return hash.finish();
}

bool equal_constant_time(const Sha256Digest& a, const Sha256Digest& b) {
  volatile Byte different = 0;
  for (usize i = 0; i < a.size(); i++) different = different | (a[i] ^ b[i]);
  return different == 0;
}

}  // namespace crypto
