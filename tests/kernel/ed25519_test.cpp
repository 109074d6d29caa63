// SPDX-License-Identifier: GPL-2.0-or-later
// Ed25519 with the vectors of RFC 8032, 7.1, in the hosted tests and in the booted kernel, whose
// compiler flags are others.
#include "kernel/crypto/ed25519.h"

#include "kernel/base/hex.h"
#include "kernel/base/test.h"

namespace {

struct Vector8032 {
  const char* name;
  std::string_view seed, key, message, signature;  // in hex
};
constexpr Vector8032 kVectors[] = {
    {"TEST 1", "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9"
     "b46bd25bf5f0595bbe24655141438e7a100b"},
    {"TEST 2", "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f1"
     "1d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"TEST 3", "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984d"
     "c6594a7c15e9716ed28dc027beceea1ec40a"},
    {"TEST SHA(abc)", "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
     "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3fe"
     "ebbd454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431"
     "e0303dca179c138ac17ad9bef1177331a704"},
};

struct Unhexed {
  Byte bytes[64] = {};
  usize size = 0;
  std::span<const Byte> view() const { return {bytes, size}; }
};
Unhexed unhex(std::string_view text) {
  Unhexed out;
  for (; out.size < text.size() / 2; out.size++)
    out.bytes[out.size] = static_cast<Byte>(*base::hex_digit(text[2 * out.size]) * 16 +
                                            *base::hex_digit(text[2 * out.size + 1]));
  return out;
}

template <usize N>
std::array<Byte, N> array_of(std::string_view text) {
  std::array<Byte, N> out;
  Unhexed bytes = unhex(text);
  std::copy_n(bytes.bytes, N, out.begin());
  return out;
}

}  // namespace

TEST(ed25519, keys_and_signatures_are_those_of_rfc_8032) {
  for (const Vector8032& vector : kVectors) {
    auto seed = array_of<crypto::kEd25519SeedBytes>(vector.seed);
    auto key = array_of<crypto::kEd25519KeyBytes>(vector.key);
    auto signature = array_of<crypto::kEd25519SignatureBytes>(vector.signature);
    Unhexed message = unhex(vector.message);
    auto made = crypto::ed25519_public_key(seed);
    auto signed_by_us = crypto::ed25519_sign(seed, message.view());
    bool right = made.has_value() && *made == key && signed_by_us.has_value() &&
                 *signed_by_us == signature &&
                 crypto::ed25519_verify(key, message.view(), signature).has_value();
    if (!right) test.report(__FILE__, __LINE__, vector.name);
  }
}

TEST(ed25519, a_flipped_bit_of_key_text_or_signature_is_refused) {
  auto key = array_of<crypto::kEd25519KeyBytes>(kVectors[2].key);
  auto signature = array_of<crypto::kEd25519SignatureBytes>(kVectors[2].signature);
  Unhexed message = unhex(kVectors[2].message);
  auto each_bit_matters = [&](std::span<Byte> bytes) {
    for (usize bit = 0; bit < bytes.size() * 8; bit++) {
      bytes[bit / 8] ^= static_cast<Byte>(1 << bit % 8);
      if (crypto::ed25519_verify(key, message.view(), signature).has_value()) {
        char text[64];
        test.report(__FILE__, __LINE__, base::format_into(text, "bit {} is not looked at", bit));
      }
      bytes[bit / 8] ^= static_cast<Byte>(1 << bit % 8);
    }
  };
  each_bit_matters(key);
  each_bit_matters({message.bytes, message.size});
  each_bit_matters(signature);
  EXPECT(crypto::ed25519_verify(key, message.view(), signature).has_value());
}
