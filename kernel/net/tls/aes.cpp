// SPDX-License-Identifier: GPL-2.0-or-later
// Implements wolfSSL's AES-GCM, as its wolfcrypt/aes.h declares it, with BearSSL, because wolfSSL's
// own code looks up tables by secret bytes.
#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include "kernel/base/wipe.h"
#include "kernel/crypto/aes_gcm.h"

namespace {

using crypto::AesKey;
static_assert(sizeof(Aes::key) == sizeof(AesKey::schedule));

struct KeyOf : AesKey {
  explicit KeyOf(const Aes& aes) {
    std::memcpy(schedule, aes.key, sizeof schedule);
    rounds = aes.rounds;
  }
};

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
  if (aes != nullptr) base::wipe(aes, sizeof *aes);
}

int wc_AesGcmSetKey(Aes* aes, const byte* key, word32 bytes) {
  AesKey made;
  if (!made.expand({key, bytes})) return BAD_FUNC_ARG;
  std::memcpy(aes->key, made.schedule, sizeof made.schedule);
  aes->rounds = made.rounds;
  aes->keylen = static_cast<int>(bytes);
  return 0;
}

int wc_AesGcmSetExtIV(Aes* aes, const byte* nonce, word32 bytes) {
  if (bytes != crypto::kGcmNonceBytes) return BAD_FUNC_ARG;
  std::memcpy(aes->reg, nonce, bytes);
  aes->nonceSz = bytes;
  return 0;
}

// RFC 5288, 3: four bytes are the connection's, eight count its records from any start.
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
  crypto::gcm_seal(KeyOf(*aes), nonce_at(nonce), {aad, aad_bytes}, {in, bytes}, out,
                   std::span<Byte, crypto::kGcmTagBytes>(tag, crypto::kGcmTagBytes));
  return 0;
}

// Only modes that are not offered would call this.
int wc_AesSetKey(Aes*, const byte*, word32, const byte*, int) {
  return NOT_COMPILED_IN;
}

// Uses the nonce that was set, returns it and increments it. A connection ends long before 2^64 of
// them are used.
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
  bool good = crypto::gcm_open(KeyOf(*aes), nonce_at(nonce), {aad, aad_bytes}, {in, bytes}, out,
                               {tag, tag_bytes});
  return good ? 0 : AES_GCM_AUTH_E;
}

}  // extern "C"
