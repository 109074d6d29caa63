// SPDX-License-Identifier: GPL-2.0-or-later
// AES-GCM: the vectors of its specification, and 600 messages beside OpenSSL's.
#include <string>
#include <vector>

#include "kernel/base/test.h"
#include "kernel/crypto/aes_gcm.h"
#include "kernel/crypto/sha256.h"

namespace {

using crypto::AesKey;
using Bytes = std::vector<Byte>;

Bytes from_hex(std::string_view text) {
  auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  Bytes out;
  for (usize i = 0; i + 1 < text.size(); i += 2)
    out.push_back(static_cast<Byte>(digit(text[i]) * 16 + digit(text[i + 1])));
  return out;
}

// The tag follows the message.
Bytes sealed(const Bytes& key, const Bytes& nonce, const Bytes& aad, const Bytes& message) {
  AesKey ready;
  ASSERT(ready.expand(key));
  Bytes out(message.size() + crypto::kGcmTagBytes);
  crypto::gcm_seal(ready, std::span(nonce).first<crypto::kGcmNonceBytes>(), aad, message,
                   out.data(), std::span(out).last<crypto::kGcmTagBytes>());
  return out;
}

// The same numbers as the script that asked OpenSSL.
Bytes numbers(usize count, usize seed) {
  Bytes out;
  auto x = static_cast<u32>(seed);
  for (usize i = 0; i < count; i++) {
    x = x * 1103515245 + 12345;
    out.push_back(static_cast<Byte>(x >> 24));
  }
  return out;
}

}  // namespace

// McGrew and Viega, "The Galois/Counter Mode of Operation", cases 4 and 16.
TEST(crypto_aes_gcm, the_vectors_of_its_specification) {
  Bytes half = from_hex("feffe9928665731c6d6a8f9467308308"), whole = half;
  whole.insert(whole.end(), half.begin(), half.end());
  Bytes nonce = from_hex("cafebabefacedbaddecaf888");
  Bytes aad = from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  Bytes message = from_hex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6"
      "b525b16aedf5aa0de657ba637b39");
  EXPECT(sealed(half, nonce, aad, message) ==
         from_hex("42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b"
                  "25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae9"
                  "5ae7121a47"));
  EXPECT(sealed(whole, nonce, aad, message) ==
         from_hex("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e4"
                  "8590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf88"
                  "53bb2d551b"));
}

TEST(crypto_aes_gcm, every_length_as_openssl_does) {
  crypto::Sha256 hash;
  for (usize n = 0; n < 300; n++)
    for (usize key : {16, 32})
      hash.update(sealed(numbers(key, n), numbers(12, n + 1000), numbers(n % 29, n + 2000),
                         numbers(n, n + 3000)));
  Bytes wanted = from_hex("1b7b2af20ab147b9df10484a45f460ad58d2993ec8c8ee745f493801b7573728");
  crypto::Sha256Digest digest = hash.finish();
  EXPECT(std::equal(digest.begin(), digest.end(), wanted.begin()));
}

TEST(crypto_aes_gcm, a_changed_message_is_refused) {
  Bytes key = numbers(32, 1), nonce = numbers(12, 2), aad = numbers(5, 3), plain = numbers(70, 4);
  Bytes good = sealed(key, nonce, aad, plain);
  AesKey ready;
  REQUIRE(ready.expand(key) && !AesKey().expand(numbers(24, 1)));
  auto open = [&](const Bytes& all, const Bytes& more, Bytes& out) {
    out.assign(plain.size(), 0);
    return crypto::gcm_open(ready, std::span(nonce).first<12>(), more,
                            std::span(all).first(plain.size()), out.data(),
                            std::span(all).subspan(plain.size()));
  };
  Bytes out;
  EXPECT(open(good, aad, out) && out == plain);
  Bytes untouched(plain.size(), 0);
  for (usize bit = 0; bit < good.size() * 8; bit++) {
    Bytes bad = good;
    bad[bit / 8] ^= static_cast<Byte>(1U << bit % 8);
    EXPECT(!open(bad, aad, out) && out == untouched);
  }
  EXPECT(!open(good, numbers(5, 9), out));
  Bytes short_tag(good.begin(), good.end() - 1);
  EXPECT(!open(short_tag, aad, out));
}
