// SPDX-License-Identifier: GPL-2.0-or-later
// Implements SHA-256 as the standard describes it.
#include "kernel/crypto/sha256.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "kernel/crypto/sha256_rounds.h"

namespace crypto {
namespace {

u32 load_be(const Byte* at) {
  u32 word;
  std::memcpy(&word, at, sizeof word);
  return __builtin_bswap32(word);
}

// Takes one block into the state (6.2.2).
void take_block(u32* state, const Byte* at) {
  u32 w[64];
  for (u32 i = 0; i < 16; i++) w[i] = load_be(at + i * 4);
  for (u32 i = 16; i < 64; i++) {
    u32 s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
    u32 s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  std::array<u32, 8> v;
  std::copy_n(state, v.size(), v.begin());
  for (u32 i = 0; i < 64; i++) {
    u32 s1 = std::rotr(v[4], 6) ^ std::rotr(v[4], 11) ^ std::rotr(v[4], 25);
    u32 choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
    u32 t1 = v[7] + s1 + choice + kSha256Rounds[i] + w[i];
    u32 s0 = std::rotr(v[0], 2) ^ std::rotr(v[0], 13) ^ std::rotr(v[0], 22);
    u32 majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
    std::copy_backward(v.begin(), v.end() - 1, v.end());
    v[4] += t1;
    v[0] = t1 + s0 + majority;
  }
  for (u32 i = 0; i < 8; i++) state[i] += v[i];
}

}  // namespace

void sha256_blocks(u32* state, const Byte* at, usize blocks) {
  for (usize i = 0; i < blocks; i++) take_block(state, at + i * kSha256Block);
}

void Sha256::update(std::span<const Byte> bytes) {
  take(bytes, sha256_blocks);
}

void Sha256::take(std::span<const Byte> bytes, Sha256Blocks blocks) {
  usize held = bytes_ % kSha256Block;
  bytes_ += bytes.size();
  if (held > 0) {
    usize part = std::min(bytes.size(), kSha256Block - held);
    std::copy_n(bytes.begin(), part, pending_ + held);
    bytes = bytes.subspan(part);
    if (held + part < kSha256Block) return;
    blocks(state_, pending_, 1);
  }
  usize whole = bytes.size() / kSha256Block;
  blocks(state_, bytes.data(), whole);
  bytes = bytes.subspan(whole * kSha256Block);
  std::copy_n(bytes.begin(), bytes.size(), pending_);
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
