// SPDX-License-Identifier: GPL-2.0-or-later
// Decides about signatures: what a manifest's signatures are worth, and what the option verify=
// makes of that. For threads of CPU 0.
#pragma once

#include "service/bundle/manifest.h"
#include "service/bundle/roots.h"

namespace service::bundle {

// The worth of a bundle, best first.
enum class Finding : u8 {
  kGood,        // signed by a trusted key
  kUnknownKey,  // signed, but by none of the trusted keys
  kUnsigned,
  kExpired,      // signed by a trusted key for another time, or below an epoch that was seen
  kBad,          // a signature or a hash is wrong
  kRevokedKey,   // a revoked key has signed it, and no trusted one
  kRevokedFile,  // a file of it is revoked, whoever has signed it
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

// Judges a manifest: its signatures, its times, and whether this machine has revoked a file of it.
// A signature that names a trusted key, or names none, must be good: a good one beside it does not
// excuse it. One by a revoked key is worth nothing, but does no harm beside a good one.
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
