// SPDX-License-Identifier: GPL-2.0-or-later
// Implements SHA-256 as the standard describes it.
#include "kernel/crypto/sha256.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "kernel/crypto/sha256_rounds.h"

namespace crypto {
namespace {

u32 load_be(const Byte* at) {
  u32 word;
  std::memcpy(&word, at, sizeof word);
  return __builtin_bswap32(word);
}

// The letters a to h of the standard (6.2.2). Each round would move every letter to the next place;
// here they stay, and the round looks for them one place earlier. So all indices are constants, and
// the compiler keeps the letters in registers.
struct Letters {
  u32 v[8];

  // `word` is the round's word of the message and its constant.
  template <usize kRound>
  void take_round(u32 word) {
    auto at = [this](usize letter) -> u32& { return v[(letter + 8 - kRound % 8) % 8]; };
    u32 a = at(0), b = at(1), c = at(2), e = at(4), f = at(5), g = at(6);
    u32 s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
    u32 t1 = at(7) + s1 + (g ^ (e & (f ^ g))) + word;
    u32 s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
    at(3) += t1;
    at(7) = t1 + s0 + ((a & b) | (c & (a | b)));
  }
};

// Replaces the word of 16 rounds ago by this round's (6.2.2, step 1).
template <usize kRound>
void next_word(u32 (&w)[16]) {
  u32 early = w[(kRound + 1) % 16], late = w[(kRound + 14) % 16];
  w[kRound] += (std::rotr(early, 7) ^ std::rotr(early, 18) ^ (early >> 3)) + w[(kRound + 9) % 16] +
               (std::rotr(late, 17) ^ std::rotr(late, 19) ^ (late >> 10));
}

void take_block(u32* state, const Byte* at) {
  u32 w[16];
  Letters letters;
  std::copy_n(state, 8, letters.v);
  [&]<usize... kRound>(std::index_sequence<kRound...>) {
    ((w[kRound] = load_be(at + kRound * 4),
      letters.take_round<kRound>(w[kRound] + kSha256Rounds[kRound])),
     ...);
    for (u32 done = 16; done < 64; done += 16)
      ((next_word<kRound>(w), letters.take_round<kRound>(w[kRound] + kSha256Rounds[done + kRound])),
       ...);
  }(std::make_index_sequence<16>());
  for (u32 i = 0; i < 8; i++) state[i] += letters.v[i];
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
