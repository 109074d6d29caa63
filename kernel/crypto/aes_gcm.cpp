// SPDX-License-Identifier: GPL-2.0-or-later
// Implements GCM (SP 800-38D, 7) with BearSSL's counter mode and GHASH. The tag is verified before
// anything is decrypted, which BearSSL's own GCM leaves to its caller.
#include "kernel/crypto/aes_gcm.h"

#include <bearssl_block.h>
#include <bearssl_hash.h>

#include <algorithm>
#include <cstring>

#include "kernel/base/wipe.h"

namespace crypto {
namespace {

constexpr usize kBlockBytes = 16;
static_assert(sizeof(AesKey::schedule) == sizeof(br_aes_ct64_ctr_keys::skey));

// A key in BearSSL's form, for one message.
struct Keys {
  br_aes_ct64_ctr_keys state{};
  explicit Keys(const AesKey& key) {
    state.vtable = &br_aes_ct64_ctr_vtable;
    std::memcpy(state.skey, key.schedule, sizeof key.schedule);
    state.num_rounds = key.rounds;
  }
  ~Keys() { base::wipe(&state, sizeof state); }
  Keys(const Keys&) = delete;
  Keys& operator=(const Keys&) = delete;

  // Adds the key stream, starting with block `number`.
  void count(const Byte* nonce, u32 number, std::span<Byte> data) const {
    br_aes_ct64_ctr_run(&state, nonce, number, data.data(), data.size());
  }
};

// BearSSL leaves about 1.5 KiB of a key's expansion on the stack; this overwrites it.
[[gnu::noinline]] void wipe_stack() {
  Byte below[2560];
  base::wipe(below, sizeof below);
}

struct Tag {
  Byte bytes[kGcmTagBytes] = {};
};

// Computes the tag of `sealed`. Block 0 under an all-zero nonce is the key of GHASH; block 1 masks
// the tag.
Tag authenticate(const Keys& keys, GcmNonce nonce, std::span<const Byte> aad,
                 std::span<const Byte> sealed) {
  constexpr Byte kNoNonce[kGcmNonceBytes] = {};
  Byte hash_key[kBlockBytes] = {}, lengths[kBlockBytes];
  keys.count(kNoNonce, 0, hash_key);
  Tag tag;
  br_ghash_ctmul64(tag.bytes, hash_key, aad.data(), aad.size());
  br_ghash_ctmul64(tag.bytes, hash_key, sealed.data(), sealed.size());
  u64 bits[] = {__builtin_bswap64(aad.size() * 8), __builtin_bswap64(sealed.size() * 8)};
  std::memcpy(lengths, bits, sizeof lengths);
  br_ghash_ctmul64(tag.bytes, hash_key, lengths, sizeof lengths);
  keys.count(nonce.data(), 1, tag.bytes);
  base::wipe(hash_key, sizeof hash_key);
  return tag;
}

void count_all(const Keys& keys, GcmNonce nonce, std::span<const Byte> in, Byte* out) {
  if (in.empty()) return;
  if (out != in.data()) std::memcpy(out, in.data(), in.size());
  keys.count(nonce.data(), 2, {out, in.size()});
}

}  // namespace

AesKey::~AesKey() {
  base::wipe(schedule, sizeof schedule);
}

bool AesKey::expand(std::span<const Byte> key) {
  if (key.size() != 16 && key.size() != 32) return false;
  br_aes_ct64_ctr_keys made{};
  br_aes_ct64_ctr_init(&made, key.data(), key.size());
  std::memcpy(schedule, made.skey, sizeof schedule);
  rounds = made.num_rounds;
  base::wipe(&made, sizeof made);
  wipe_stack();
  return true;
}

void gcm_seal(const AesKey& key, GcmNonce nonce, std::span<const Byte> aad,
              std::span<const Byte> in, Byte* out, std::span<Byte, kGcmTagBytes> tag) {
  Keys keys(key);
  count_all(keys, nonce, in, out);
  Tag made = authenticate(keys, nonce, aad, {out, in.size()});
  std::copy_n(made.bytes, kGcmTagBytes, tag.begin());
  wipe_stack();
}

bool gcm_open(const AesKey& key, GcmNonce nonce, std::span<const Byte> aad,
              std::span<const Byte> in, Byte* out, std::span<const Byte> tag) {
  if (tag.size() != kGcmTagBytes) return false;
  Keys keys(key);
  Tag wanted = authenticate(keys, nonce, aad, in);
  u32 different = 0;
  for (usize i = 0; i < kGcmTagBytes; i++) different |= static_cast<u32>(wanted.bytes[i] ^ tag[i]);
  if (different == 0) count_all(keys, nonce, in, out);
  wipe_stack();
  return different == 0;
}

}  // namespace crypto
