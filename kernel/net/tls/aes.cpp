// SPDX-License-Identifier: GPL-2.0-or-later
// wolfSSL's AES-GCM, as its wolfcrypt/aes.h declares it: its own looks up tables by secret bytes.
#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include "kernel/crypto/aes_gcm.h"
#include "kernel/crypto/wipe.h"

namespace {

using crypto::AesRoundKeys;
static_assert(sizeof(Aes::key) == sizeof(AesRoundKeys::bytes));

AesRoundKeys keys_of(const Aes& aes) {
  AesRoundKeys out;
  std::memcpy(out.bytes, aes.key, sizeof out.bytes);
  out.rounds = aes.rounds;
  return out;
}

bool good_sizes(const Aes* aes, word32 nonce, word32 tag) {
  return aes != nullptr && aes->rounds != 0 && nonce == crypto::kGcmNonceBytes &&
         tag == crypto::kGcmTagBytes;
}

crypto::GcmNonce nonce_at(const byte* at) {
  return crypto::GcmNonce(at, crypto::kGcmNonceBytes);
}

}  // namespace

extern "C" {

int wc_AesInit(Aes* aes, void* heap, int) {
  *aes = Aes{};
  aes->heap = heap;
  return 0;
}

void wc_AesFree(Aes* aes) {
  if (aes != nullptr) crypto::wipe(aes, sizeof *aes);
}

int wc_AesGcmSetKey(Aes* aes, const byte* key, word32 bytes) {
  AesRoundKeys keys;
  if (!keys.expand({key, bytes})) return BAD_FUNC_ARG;
  std::memcpy(aes->key, keys.bytes, sizeof keys.bytes);
  aes->rounds = keys.rounds;
  aes->keylen = static_cast<int>(bytes);
  crypto::wipe(&keys, sizeof keys);
  return 0;
}

int wc_AesGcmSetExtIV(Aes* aes, const byte* nonce, word32 bytes) {
  if (bytes != crypto::kGcmNonceBytes) return BAD_FUNC_ARG;
  std::memcpy(aes->reg, nonce, bytes);
  aes->nonceSz = bytes;
  return 0;
}

// RFC 5288, 3: four bytes are the connection's, eight count its records, from anywhere.
int wc_AesGcmSetIV(Aes* aes, word32 bytes, const byte* fixed, word32 fixed_bytes, WC_RNG* random) {
  if (bytes != crypto::kGcmNonceBytes || fixed_bytes > bytes) return BAD_FUNC_ARG;
  byte nonce[crypto::kGcmNonceBytes];
  std::memcpy(nonce, fixed, fixed_bytes);
  int done = wc_RNG_GenerateBlock(random, nonce + fixed_bytes, bytes - fixed_bytes);
  return done != 0 ? done : wc_AesGcmSetExtIV(aes, nonce, bytes);
}

int wc_AesGcmEncrypt(Aes* aes, byte* out, const byte* in, word32 bytes, const byte* nonce,
                     word32 nonce_bytes, byte* tag, word32 tag_bytes, const byte* aad,
                     word32 aad_bytes) {
  if (!good_sizes(aes, nonce_bytes, tag_bytes)) return BAD_FUNC_ARG;
  AesRoundKeys keys = keys_of(*aes);
  crypto::AesGcm(keys).seal(nonce_at(nonce), {aad, aad_bytes}, {in, bytes}, out,
                            std::span<Byte, crypto::kGcmTagBytes>(tag, crypto::kGcmTagBytes));
  crypto::wipe(&keys, sizeof keys);
  return 0;
}

// For modes that are not offered.
int wc_AesSetKey(Aes*, const byte*, word32, const byte*, int) {
  return NOT_COMPILED_IN;
}

// With the nonce that was set, which it tells and counts up. A connection ends long before 2^64 of
// them have been used.
int wc_AesGcmEncrypt_ex(Aes* aes, byte* out, const byte* in, word32 bytes, byte* nonce,
                        word32 nonce_bytes, byte* tag, word32 tag_bytes, const byte* aad,
                        word32 aad_bytes) {
  if (!good_sizes(aes, nonce_bytes, tag_bytes) || aes->nonceSz != nonce_bytes) return BAD_FUNC_ARG;
  auto* counter = reinterpret_cast<byte*>(aes->reg);
  std::memcpy(nonce, counter, nonce_bytes);
  int done =
      wc_AesGcmEncrypt(aes, out, in, bytes, nonce, nonce_bytes, tag, tag_bytes, aad, aad_bytes);
  for (usize i = nonce_bytes; i-- > 0;)
    if (++counter[i] != 0) break;
  return done;
}

int wc_AesGcmDecrypt(Aes* aes, byte* out, const byte* in, word32 bytes, const byte* nonce,
                     word32 nonce_bytes, const byte* tag, word32 tag_bytes, const byte* aad,
                     word32 aad_bytes) {
  if (!good_sizes(aes, nonce_bytes, tag_bytes)) return AES_GCM_AUTH_E;
  AesRoundKeys keys = keys_of(*aes);
  bool good = crypto::AesGcm(keys).open(nonce_at(nonce), {aad, aad_bytes}, {in, bytes}, out,
                                        {tag, tag_bytes});
  crypto::wipe(&keys, sizeof keys);
  return good ? 0 : AES_GCM_AUTH_E;
}

}  // extern "C"
