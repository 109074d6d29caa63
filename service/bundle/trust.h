// SPDX-License-Identifier: GPL-2.0-or-later
// Decides about signatures: which keys are trusted, what a manifest's signatures are worth, and
// what the option verify= makes of that.
//
// Keys come with the image, as boot modules named *.pub or without a name (32 bytes each), and in
// the hosted twin from files that trust.keys= names. Nothing on a disk or in a manifest adds a key.
// For threads of CPU 0.
#pragma once

#include "service/bundle/manifest.h"

namespace service::bundle {

constexpr usize kMostKeys = 16;

struct TrustedKey {
  crypto::Ed25519PublicKey key{};
  KeyId id{};
  String path;  // where it was read
};

// Returns the keys. The first call reads them and logs what it finds; they stay as they are until
// power-off.
std::span<const TrustedKey> trusted_keys();
void forget_trusted_keys();  // for tests: the next call reads them again

// A public key: 32 bytes and nothing else.
Result<crypto::Ed25519PublicKey> read_public_key(std::string_view path);

// A key's id in text, which is the name of its table in a manifest.
struct KeyName {
  char digits[17] = {};
  std::string_view view() const { return {digits, 16}; }
};
KeyName name_of(const KeyId& id);

// The worth of a bundle, best first.
enum class Finding : u8 {
  kGood,        // signed by a trusted key
  kUnknownKey,  // signed, but by none of the trusted keys
  kUnsigned,
  kExpired,  // signed by a trusted key for another time, or below an epoch that was seen
  kBad,      // a signature or a hash is wrong
};

struct Judgement {
  Finding finding = Finding::kUnsigned;
  KeyId key{};              // of the signature that is good
  const char* reason = "";  // for people, where it is not good
};

// The time of day, in Unix seconds.
struct Times {
  u64 at_least = 0;  // it is not earlier: the date of this build, or a confirmed clock
  u64 clock = 0;     // of a confirmed clock; 0 while the machine has none
};
Times times_now();

// Judges the signatures of a manifest. One that names a trusted key, or names none, must be good:
// a good one beside it does not excuse it.
Result<Judgement> judge(const Manifest& manifest, std::span<const TrustedKey> keys, Times times);

// verify=
enum class Mode : u8 { kRequire, kPrefer, kOff };
Mode verify_mode();
bool may_load(Mode mode, Finding finding);

// The worth of a loaded model, for people and clients.
struct Verified {
  enum class By : u8 {
    kNothing,
    kHash,       // its bytes are those of its manifest, which no trusted key has signed
    kSignature,  // and the manifest is signed by `key`
  } by = By::kNothing;
  KeyId key{};
};
const char* verified_name(Verified::By by);  // "no", "sha256", "ed25519"

}  // namespace service::bundle
