// SPDX-License-Identifier: GPL-2.0-or-later
// Checks encodings, which wolfSSL does not do completely, and calls wolfSSL for the rest.
#include "kernel/crypto/ed25519.h"

#define MARROW_ED25519  // kernel/net/tls/user_settings.h: this file is one of those that need it
#include <wolfssl/wolfcrypt/ed25519.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include <algorithm>
#include <limits>

#include "kernel/base/wipe.h"

namespace crypto {
namespace {

using Number = std::array<Byte, 32>;  // little-endian

// The order of the base point, 2^252 + 27742317777372353535851937790883648493.
constexpr Number kOrder = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                           0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                           0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};
constexpr Number kPrime = {0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                           0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                           0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
// y of the eight points whose order divides 8: 1 and -1 (x = 0), 0 (order 4), and order 8.
constexpr Number kSmallOrder[] = {
    {1},
    {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    {0},
    {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
     0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
     0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
    {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
     0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
     0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
};
constexpr Byte kSignOfX = 0x80;  // in the last byte of an encoded point

bool less(const Number& a, const Number& b) {
  return std::lexicographical_compare(a.rbegin(), a.rend(), b.rbegin(), b.rend());
}

// wolfSSL's key, which is wiped in the end.
class Key {
 public:
  Key() { wc_ed25519_init(&key_); }
  ~Key() { wc_ed25519_free(&key_); }
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;
  ed25519_key* get() { return &key_; }

 private:
  ed25519_key key_;
};

Error error_of(int code) {
  if (code == MEMORY_E) return {Errc::kOutOfMemory, "no memory for a signature: try again"};
  return {Errc::kCorrupt, "the signature does not fit the key and the text"};
}

// wolfSSL counts with 32 bits.
bool fits(std::span<const Byte> message) {
  return message.size() <= std::numeric_limits<word32>::max();
}

// wolfSSL refuses a null pointer, which an empty span may have.
const Byte* data_of(std::span<const Byte> message) {
  static constexpr Byte kNothing = 0;
  return message.empty() ? &kNothing : message.data();
}

// Wipes what wolfSSL leaves below the caller's frame: the hashed seed and the nonce, of which
// either gives the seed's scalar away.
[[gnu::noinline]] void wipe_stack() {
  Byte below[8 * kKiB];  // a signature takes less
  base::wipe(below, sizeof below);
}

}  // namespace

bool ed25519_is_key(const Ed25519PublicKey& key) {
  Number y = key;
  y.back() &= static_cast<Byte>(~kSignOfX);
  return less(y, kPrime) && std::ranges::find(kSmallOrder, y) == std::end(kSmallOrder);
}

Result<void> ed25519_verify(const Ed25519PublicKey& key, std::span<const Byte> message,
                            const Ed25519Signature& signature) {
  if (!ed25519_is_key(key)) return fail(Errc::kCorrupt, "the key is not a public key of Ed25519");
  if (!fits(message)) return fail(Errc::kOutOfRange, "the text is too long for a signature");
  // RFC 8032, 5.1.7: S is below the order. Otherwise S + order would be another signature of the
  // same text; wolfSSL 5.5.4 accepts those where S is below 2^248.
  Number s;
  std::copy(signature.begin() + 32, signature.end(), s.begin());
  if (!less(s, kOrder)) return std::unexpected(error_of(0));
  Key ready;
  int code = wc_ed25519_import_public(key.data(), word32{kEd25519KeyBytes}, ready.get());
  if (code != 0) return std::unexpected(error_of(code));
  int fitting = 0;
  // R is compared with the one encoding of the point that it must be, so others are refused.
  code = wc_ed25519_verify_msg(signature.data(), word32{kEd25519SignatureBytes}, data_of(message),
                               static_cast<word32>(message.size()), &fitting, ready.get());
  if (code != 0 || fitting != 1) return std::unexpected(error_of(code));
  return {};
}

Result<Ed25519PublicKey> ed25519_public_key(Ed25519Seed seed) {
  Key ready;
  Ed25519PublicKey key{};
  int code = wc_ed25519_import_private_only(seed.data(), word32{kEd25519SeedBytes}, ready.get());
  if (code == 0) code = wc_ed25519_make_public(ready.get(), key.data(), word32{kEd25519KeyBytes});
  wipe_stack();
  if (code != 0) return std::unexpected(error_of(code));
  return key;
}

Result<Ed25519Signature> ed25519_sign(Ed25519Seed seed, std::span<const Byte> message) {
  if (!fits(message)) return fail(Errc::kOutOfRange, "the text is too long for a signature");
  Ed25519PublicKey key = TRY(ed25519_public_key(seed));
  Key ready;
  Ed25519Signature signature{};
  word32 size = kEd25519SignatureBytes;
  int code = wc_ed25519_import_private_key(seed.data(), word32{kEd25519SeedBytes}, key.data(),
                                           word32{kEd25519KeyBytes}, ready.get());
  if (code == 0)
    code = wc_ed25519_sign_msg(data_of(message), static_cast<word32>(message.size()),
                               signature.data(), &size, ready.get());
  wipe_stack();
  if (code != 0) return std::unexpected(error_of(code));
  return signature;
}

}  // namespace crypto
