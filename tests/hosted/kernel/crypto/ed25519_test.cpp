// SPDX-License-Identifier: GPL-2.0-or-later
// A strict verifier of Ed25519 refuses not only damaged signatures: it also refuses other encodings
// of the same numbers, and keys for which anybody can sign. RFC 8032's vectors are in
// tests/kernel/ed25519_test.cpp.
#include "kernel/crypto/ed25519.h"

#include <algorithm>
#include <string>

#include "arch/host/memory.h"
#include "kernel/base/test.h"

namespace {

using Number = std::array<Byte, 32>;

constexpr Number kOrder = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                           0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                           0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};

std::span<const Byte> bytes_of(std::string_view text) {
  return {reinterpret_cast<const Byte*>(text.data()), text.size()};
}

crypto::Ed25519Signature signature_of(const Number& r, const Number& s) {
  crypto::Ed25519Signature out;
  std::ranges::copy(r, out.begin());
  std::ranges::copy(s, out.begin() + 32);
  return out;
}

// 2^255 - 19 + n, below 2^256: the other encoding of a small n, or one of n + 19 and the sign of x.
Number prime_plus(u8 n) {
  Number out;
  out.fill(0xff);
  out[0] = static_cast<Byte>(0xed + n);
  out[31] = 0x7f;
  return out;
}

}  // namespace

// wolfSSL 5.5.4 alone accepts S + order where S is below 2^248: one signature in sixteen.
TEST(ed25519_strict, a_multiple_of_the_order_makes_no_second_signature) {
  u32 with_top_bits = 0;
  for (u8 i = 0; i < 32; i++) {
    Number seed{i, 7};
    auto key = crypto::ed25519_public_key(seed);
    std::string text = "text " + std::to_string(i);
    auto signature = crypto::ed25519_sign(seed, bytes_of(text));
    REQUIRE(key.has_value() && signature.has_value());
    REQUIRE(crypto::ed25519_verify(*key, bytes_of(text), *signature).has_value());
    for (u32 times = 1; times <= 15; times++) {
      u32 carry = 0;
      for (usize at = 0; at < 32; at++) {
        carry += (*signature)[32 + at] + kOrder[at];
        (*signature)[32 + at] = static_cast<Byte>(carry);
        carry >>= 8;
      }
      if (carry != 0) break;
      with_top_bits += (*signature)[63] == 0x10 ? 1 : 0;
      EXPECT(!crypto::ed25519_verify(*key, bytes_of(text), *signature).has_value());
    }
  }
  EXPECT(with_top_bits > 0);  // sums that wolfSSL does not refuse
}

TEST(ed25519_strict, points_of_small_order_are_no_keys) {
  // For these keys, R = S = 0 or R = the key's multiple signs about one text in eight.
  const Number ys[] = {
      {1},
      prime_plus(0xff),  // -1
      {0},
      {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
       0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
       0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
      {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
       0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
       0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
  };
  for (const Number& y : ys)
    for (Byte sign : {Byte{0}, Byte{0x80}}) {
      Number key = y;
      key[31] |= sign;
      EXPECT(!crypto::ed25519_is_key(key));
      for (u32 i = 0; i < 64; i++) {
        std::string text = "text " + std::to_string(i);
        EXPECT(!crypto::ed25519_verify(key, bytes_of(text), signature_of({1}, {0})).has_value());
      }
    }
}

TEST(ed25519_strict, a_key_has_one_encoding) {
  for (u8 n = 0; n < 19; n++)
    for (Byte sign : {Byte{0}, Byte{0x80}}) {
      Number key = prime_plus(n);
      key[31] |= sign;
      EXPECT(!crypto::ed25519_is_key(key));
      auto judged = crypto::ed25519_verify(key, bytes_of("text"), signature_of({1}, {0}));
      EXPECT(!judged.has_value() && judged.error().code == Errc::kCorrupt);
    }
  // y = 2 is on no point, so it is no key either, although it is a number.
  EXPECT(!crypto::ed25519_verify({2}, bytes_of("text"), signature_of({1}, {0})).has_value());
}

// These are the numbers that are not below the prime, each the other spelling of a smaller one.
TEST(ed25519_strict, r_has_one_encoding) {
  Number seed{5};
  auto key = crypto::ed25519_public_key(seed);
  auto signature = crypto::ed25519_sign(seed, bytes_of("text"));
  REQUIRE(key.has_value() && signature.has_value());
  for (u8 n = 0; n < 19; n++) {
    crypto::Ed25519Signature other = *signature;
    std::ranges::copy(prime_plus(n), other.begin());
    EXPECT(!crypto::ed25519_verify(*key, bytes_of("text"), other).has_value());
  }
}

TEST(ed25519_strict, an_empty_text_can_be_signed_and_a_long_one) {
  Number seed{9};
  auto key = crypto::ed25519_public_key(seed);
  REQUIRE(key.has_value());
  for (usize size : {usize{0}, usize{1}, usize{127}, usize{128}, usize{129}, usize{100'000}}) {
    std::string text(size, 'x');
    auto signature = crypto::ed25519_sign(seed, bytes_of(text));
    REQUIRE(signature.has_value());
    EXPECT(crypto::ed25519_verify(*key, bytes_of(text), *signature).has_value());
    EXPECT(!crypto::ed25519_verify(*key, bytes_of(text + "x"), *signature).has_value());
  }
}

// SHA-512 takes memory while it computes. Without it nothing is accepted, and the error says so.
TEST(ed25519_strict, without_memory_nothing_is_accepted) {
  Number seed{3};
  auto key = crypto::ed25519_public_key(seed);
  auto signature = crypto::ed25519_sign(seed, bytes_of("text"));
  REQUIRE(key.has_value() && signature.has_value());
  host::fail_allocation(1);
  auto judged = crypto::ed25519_verify(*key, bytes_of("text"), *signature);
  host::fail_allocation(0);
  EXPECT(!judged.has_value() && judged.error().code == Errc::kOutOfMemory);
  EXPECT(crypto::ed25519_verify(*key, bytes_of("text"), *signature).has_value());
}
