// SPDX-License-Identifier: GPL-2.0-or-later
// Four AES blocks at once as eight planes of bits, and GHASH by multiplication of integers.
#include "kernel/crypto/aes_gcm.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "kernel/crypto/wipe.h"

namespace crypto {
namespace {

using u128 = unsigned __int128;
constexpr u32 kBits = 8, kBlocks = 4;
constexpr usize kSliceBytes = kBlocks * kAesBlockBytes;

// f(0), f(1), … as code in a row: planes stay in registers only if their numbers are constants.
template <u32 kCount, typename F>
[[gnu::always_inline]] inline void each(F f) {
  [&]<u32... kIndex>(std::integer_sequence<u32, kIndex...>) {
    (f(std::integral_constant<u32, kIndex>{}), ...);
  }(std::make_integer_sequence<u32, kCount>{});
}

// Plane p has bit p of 64 bytes.
struct Slice {
  u64 plane[kBits];
};

// What the three parts of the S-box hand on.
struct Linear {
  u64 y[22], x7;
};
struct Shared {
  u64 z[18];
};

// SubBytes (FIPS 197, 5.1.1) as the 115 gates of J. Boyar and R. Peralta, "A New Combinational
// Logic Minimization Technique with Applications to Cryptology", 2010; names are theirs, x0 is the
// top bit.
Linear spread(const Slice& s) {
  const u64 x0 = s.plane[7], x1 = s.plane[6], x2 = s.plane[5], x3 = s.plane[4];
  const u64 x4 = s.plane[3], x5 = s.plane[2], x6 = s.plane[1], x7 = s.plane[0];
  const u64 y14 = x3 ^ x5, y13 = x0 ^ x6, y9 = x0 ^ x3, y8 = x0 ^ x5, t0 = x1 ^ x2;
  const u64 y1 = t0 ^ x7, y4 = y1 ^ x3, y12 = y13 ^ y14, y2 = y1 ^ x0, y5 = y1 ^ x6;
  const u64 y3 = y5 ^ y8, t1 = x4 ^ y12, y15 = t1 ^ x5, y20 = t1 ^ x1, y6 = y15 ^ x7;
  const u64 y10 = y15 ^ t0, y11 = y20 ^ y9, y7 = x7 ^ y11, y17 = y10 ^ y11, y19 = y10 ^ y8;
  const u64 y16 = t0 ^ y11, y21 = y13 ^ y16, y18 = x0 ^ y16;
  return {{0,   y1,  y2,  y3,  y4,  y5,  y6,  y7,  y8,  y9,  y10,
           y11, y12, y13, y14, y15, y16, y17, y18, y19, y20, y21},
          x7};
}

// The inverse in GF(2^8), multiplied into what leads to the result.
Shared invert(const Linear& l) {
  const u64(&y)[22] = l.y;
  const u64 t2 = y[12] & y[15], t4 = (y[3] & y[6]) ^ t2, t6 = (y[4] & l.x7) ^ t2;
  const u64 t7 = y[13] & y[16], t9 = (y[5] & y[1]) ^ t7, t11 = (y[2] & y[7]) ^ t7;
  const u64 t12 = y[9] & y[11], t14 = (y[14] & y[17]) ^ t12, t16 = (y[8] & y[10]) ^ t12;
  const u64 t21 = t4 ^ t14 ^ y[20], t22 = t6 ^ t16 ^ y[19], t23 = t9 ^ t14 ^ y[21];
  const u64 t24 = t11 ^ t16 ^ y[18], t25 = t21 ^ t22, t26 = t21 & t23, t27 = t24 ^ t26;
  const u64 t29 = (t25 & t27) ^ t22, t30 = t23 ^ t24, t31 = t22 ^ t26, t33 = (t31 & t30) ^ t24;
  const u64 t34 = t23 ^ t33, t35 = t27 ^ t33, t36 = t24 & t35, t37 = t36 ^ t34, t38 = t27 ^ t36;
  const u64 t40 = t25 ^ (t29 & t38), t41 = t40 ^ t37, t42 = t29 ^ t33, t43 = t29 ^ t40;
  const u64 t44 = t33 ^ t37, t45 = t42 ^ t41;
  return {{t44 & y[15], t37 & y[6], t33 & l.x7, t43 & y[16], t40 & y[1], t29 & y[7], t42 & y[11],
           t45 & y[17], t41 & y[10], t44 & y[12], t37 & y[3], t33 & y[4], t43 & y[13], t40 & y[5],
           t29 & y[2], t42 & y[9], t45 & y[14], t41 & y[8]}};
}

void substitute(Slice& s) {
  const Shared shared = invert(spread(s));
  const u64(&z)[18] = shared.z;
  const u64 t46 = z[15] ^ z[16], t47 = z[10] ^ z[11], t48 = z[5] ^ z[13], t49 = z[9] ^ z[10];
  const u64 t50 = z[2] ^ z[12], t51 = z[2] ^ z[5], t52 = z[7] ^ z[8], t53 = z[0] ^ z[3];
  const u64 t54 = z[6] ^ z[7], t55 = z[16] ^ z[17], t56 = z[12] ^ t48, t57 = t50 ^ t53;
  const u64 t58 = z[4] ^ t46, t59 = z[3] ^ t54, t60 = t46 ^ t57, t61 = z[14] ^ t57;
  const u64 t62 = t52 ^ t58, t63 = t49 ^ t58, t64 = z[4] ^ t59, t65 = t61 ^ t62, t66 = z[1] ^ t63;
  const u64 s3 = t53 ^ t66;
  s = {
      {t48 ^ ~t60, t56 ^ ~t62, t47 ^ t65, t51 ^ t66, s3, t55 ^ ~(t64 ^ t65), t64 ^ ~s3, t59 ^ t63}};
}

// ---- where a byte lies in the planes: bit 16 * row + 4 * column + block ---------------------
// A row is 16 bits of each plane, so ShiftRows turns those, and MixColumns turns whole planes.

// The 8 x 8 bits of a word across its diagonal.
u64 transpose(u64 w) {
  struct Step {
    u32 shift;
    u64 mask;
  };
  for (Step step :
       {Step{7, 0x00aa00aa00aa00aa}, Step{14, 0x0000cccc0000cccc}, Step{28, 0x00000000f0f0f0f0}}) {
    u64 moved = (w ^ (w >> step.shift)) & step.mask;
    w ^= moved ^ (moved << step.shift);
  }
  return w;
}

constexpr u32 byte_at(u32 place) {
  u32 row = place / 16, column = place / 4 % 4, block = place % 4;
  return block * 16 + column * 4 + row;
}

Slice slice(const Byte* blocks) {
  Slice out{};
  for (u32 k = 0; k < kBits; k++) {
    u64 word = 0;
    for (u32 i = 0; i < 8; i++) word |= static_cast<u64>(blocks[byte_at(8 * k + i)]) << (8 * i);
    word = transpose(word);
    for (u32 p = 0; p < kBits; p++) out.plane[p] |= (word >> (8 * p) & 0xff) << (8 * k);
  }
  return out;
}

void unslice(const Slice& s, Byte* blocks) {
  for (u32 k = 0; k < kBits; k++) {
    u64 word = 0;
    for (u32 p = 0; p < kBits; p++) word |= (s.plane[p] >> (8 * k) & 0xff) << (8 * p);
    word = transpose(word);
    for (u32 i = 0; i < 8; i++) blocks[byte_at(8 * k + i)] = static_cast<Byte>(word >> (8 * i));
  }
}

void shift_rows(Slice& s) {
  each<kBits>([&](auto p) {
    u64 out = s.plane[p] & 0xffff;
    each<3>([&](auto i) {
      constexpr u32 kRow = i + 1;
      u64 lane = s.plane[p] >> (16 * kRow) & 0xffff;
      out |= ((lane >> (4 * kRow) | lane << (16 - 4 * kRow)) & 0xffff) << (16 * kRow);
    });
    s.plane[p] = out;
  });
}

// Each byte becomes 2 a + 3 b + c + d of the column that begins with it.
void mix_columns(Slice& s) {
  Slice sum, rest;  // a + b, and b + c + d
  each<kBits>([&](auto p) {
    u64 a = s.plane[p], b = std::rotr(a, 16);
    sum.plane[p] = a ^ b;
    rest.plane[p] = b ^ std::rotr(sum.plane[p], 32);
  });
  u64 top = sum.plane[7];
  each<kBits>([&](auto p) {
    u64 doubled = sum.plane[(p + 7) % kBits];
    if constexpr (p == 1 || p == 3 || p == 4) doubled ^= top;
    s.plane[p] = doubled ^ rest.plane[p];
  });
}

void add_key(Slice& s, const u64 (&key)[kBits]) {
  each<kBits>([&](auto p) { s.plane[p] ^= key[p]; });
}

// ---- GHASH (SP 800-38D, 6.3) ------------------------------------------------------------------

constexpr u32 kStride = 5;
constexpr auto kStripes = [] {
  std::array<u128, kStride> masks{};
  for (u32 i = 0; i < 128; i++) masks[i % kStride] |= static_cast<u128>(1) << i;
  return masks;
}();

// The product of two polynomials by integers: of every fifth bit at most 13 meet in one place, so
// no carry reaches the next one that counts.
u128 carryless(u64 a, u64 b) {
  u128 out = 0;
  each<kStride>([&](auto i) {
    each<kStride>([&](auto j) {
      u64 x = a & static_cast<u64>(kStripes[i]), y = b & static_cast<u64>(kStripes[j]);
      out ^= static_cast<u128>(x) * y & kStripes[(i + j) % kStride];
    });
  });
  return out;
}

// In the order of GCM: the top bit is the coefficient of x^0.
u128 multiply_hash(u128 a, u128 b) {
  u64 a1 = static_cast<u64>(a >> 64), a0 = static_cast<u64>(a);
  u64 b1 = static_cast<u64>(b >> 64), b0 = static_cast<u64>(b);
  u128 high = carryless(a1, b1), low = carryless(a0, b0);
  u128 middle = carryless(a1 ^ a0, b1 ^ b0) ^ high ^ low;
  high ^= middle >> 64;
  low ^= middle << 64;
  // The product of two reversed numbers lies one bit too low.
  high = high << 1 | low >> 127;
  low <<= 1;
  // x^128 = x^7 + x^2 + x + 1; what that moves past the end comes round first.
  low ^= low << 127 ^ low << 126 ^ low << 121;
  return high ^ low ^ low >> 1 ^ low >> 2 ^ low >> 7;
}

u128 load(const Byte* from, usize bytes) {
  u128 out = 0;
  for (usize i = 0; i < kAesBlockBytes; i++) out = out << 8 | (i < bytes ? from[i] : 0);
  return out;
}

void store(u128 value, Byte* to) {
  for (u32 i = 0; i < kAesBlockBytes; i++) to[i] = static_cast<Byte>(value >> (120 - 8 * i));
}

u128 hash_all(u128 state, u128 key, std::span<const Byte> bytes) {
  for (usize at = 0; at < bytes.size(); at += kAesBlockBytes)
    state = multiply_hash(state ^ load(bytes.data() + at, bytes.size() - at), key);
  return state;
}

void put_counter(Byte* block, GcmNonce nonce, u32 number) {
  std::copy(nonce.begin(), nonce.end(), block);
  for (u32 i = 0; i < 4; i++) block[kGcmNonceBytes + i] = static_cast<Byte>(number >> (24 - 8 * i));
}

}  // namespace

bool AesRoundKeys::expand(std::span<const Byte> key) {
  if (key.size() != 16 && key.size() != 32) return false;
  rounds = static_cast<u32>(key.size()) / 4 + 6;
  std::copy(key.begin(), key.end(), bytes);
  Byte constant = 1;
  for (usize at = key.size(); at < (rounds + 1) * kAesBlockBytes; at += 4) {
    Byte word[kSliceBytes] = {};
    std::copy_n(bytes + at - 4, 4, word);
    bool first = at % key.size() == 0;
    if (first) std::rotate(word, word + 1, word + 4);
    if (first || (key.size() == 32 && at % key.size() == 16)) {
      Slice s = slice(word);
      substitute(s);
      unslice(s, word);
    }
    if (first) {
      word[0] ^= constant;
      constant = static_cast<Byte>(constant << 1 ^ (constant >> 7) * 0x1b);
    }
    for (usize i = 0; i < 4; i++) bytes[at + i] = bytes[at + i - key.size()] ^ word[i];
    wipe(word, sizeof word);
  }
  return true;
}

AesGcm::AesGcm(const AesRoundKeys& key) : rounds_(key.rounds) {
  for (u32 round = 0; round <= rounds_; round++) {
    Byte copies[kSliceBytes];
    for (u32 i = 0; i < kBlocks; i++)
      std::copy_n(key.bytes + round * kAesBlockBytes, kAesBlockBytes, copies + i * kAesBlockBytes);
    Slice s = slice(copies);
    std::copy_n(s.plane, kBits, keys_[round]);
    wipe(copies, sizeof copies);
  }
  Byte zero[kSliceBytes] = {};
  encrypt(zero);
  hash_key_ = load(zero, kAesBlockBytes);
  wipe(zero, sizeof zero);
}

AesGcm::~AesGcm() {
  wipe(keys_, sizeof keys_);
  wipe(&hash_key_, sizeof hash_key_);
}

void AesGcm::encrypt(Byte (&blocks)[kSliceBytes]) const {
  Slice s = slice(blocks);
  add_key(s, keys_[0]);
  for (u32 round = 1; round <= rounds_; round++) {
    substitute(s);
    shift_rows(s);
    if (round < rounds_) mix_columns(s);
    add_key(s, keys_[round]);
  }
  unslice(s, blocks);
}

void AesGcm::count(GcmNonce nonce, std::span<const Byte> in, Byte* out) const {
  Byte stream[kSliceBytes];
  u32 number = 2;  // 1 is that of the tag
  for (usize at = 0; at < in.size(); at += kSliceBytes, number += kBlocks) {
    for (u32 i = 0; i < kBlocks; i++) put_counter(stream + i * kAesBlockBytes, nonce, number + i);
    encrypt(stream);
    usize n = std::min(kSliceBytes, in.size() - at);
    for (usize i = 0; i < n; i++) out[at + i] = in[at + i] ^ stream[i];
  }
  wipe(stream, sizeof stream);
}

void AesGcm::authenticate(GcmNonce nonce, std::span<const Byte> aad, std::span<const Byte> sealed,
                          Byte (&tag)[kGcmTagBytes]) const {
  Byte mask[kSliceBytes] = {};
  put_counter(mask, nonce, 1);
  encrypt(mask);
  u128 state = hash_all(hash_all(0, hash_key_, aad), hash_key_, sealed);
  u128 lengths = static_cast<u128>(aad.size() * 8) << 64 | sealed.size() * 8;
  store(multiply_hash(state ^ lengths, hash_key_) ^ load(mask, kAesBlockBytes), tag);
  wipe(mask, sizeof mask);
}

void AesGcm::seal(GcmNonce nonce, std::span<const Byte> aad, std::span<const Byte> in, Byte* out,
                  std::span<Byte, kGcmTagBytes> tag) const {
  count(nonce, in, out);
  Byte made[kGcmTagBytes];
  authenticate(nonce, aad, {out, in.size()}, made);
  std::copy_n(made, kGcmTagBytes, tag.begin());
}

bool AesGcm::open(GcmNonce nonce, std::span<const Byte> aad, std::span<const Byte> in, Byte* out,
                  std::span<const Byte> tag) const {
  if (tag.size() != kGcmTagBytes) return false;
  Byte wanted[kGcmTagBytes];
  authenticate(nonce, aad, in, wanted);
  u32 different = 0;
  for (usize i = 0; i < kGcmTagBytes; i++) different |= static_cast<u32>(wanted[i] ^ tag[i]);
  if (different != 0) return false;
  count(nonce, in, out);
  return true;
}

}  // namespace crypto
