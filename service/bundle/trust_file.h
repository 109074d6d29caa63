// SPDX-License-Identifier: GPL-2.0-or-later
// Reads trust.toml, which says what the keys of a site are for and which of them are revoked, and
// decides whether one version may follow another, as root metadata of The Update Framework does.
// Pure: nothing is allocated but for signatures, nothing is read or logged. For threads.
#pragma once

#include "service/bundle/signed_text.h"

namespace service::bundle {

constexpr std::string_view kTrustName = "trust.toml";
constexpr usize kMostKeys = 16;
constexpr usize kMostRevokedKeys = 32, kMostRevokedFiles = 40;

// The things that a key may sign.
enum class Use : u8 { kRoot, kModel, kKernel };
constexpr std::string_view kUseNames[] = {"root", "model", "kernel"};

struct ListedKey {
  KeyId id{};
  crypto::Ed25519PublicKey key{};
  Use use = Use::kRoot;
};

// Its signed part is a view of the text that was parsed.
struct TrustFile {
  u64 version = 0;  // from 1
  u64 threshold = 0;
  u64 epoch_floor = 0;  // of the security_epoch of every bundle
  StaticVector<ListedKey, kMostKeys> keys;
  StaticVector<KeyId, kMostRevokedKeys> revoked_keys;
  StaticVector<crypto::Sha256Digest, kMostRevokedFiles> revoked_files;
  std::string_view signed_part;
  Signatures signatures;

  bool revokes(const KeyId& id) const;
  bool revokes(const crypto::Sha256Digest& file) const;
};

// Returns kCorrupt with the reason if the text is not a trust file. No manifest is one: `version`
// is a number here and a text there.
Result<TrustFile> parse_trust(std::string_view text);

// The keys that may sign a version, and how many of them have to.
struct Quorum {
  u64 threshold = 0;
  StaticVector<ListedKey, kMostKeys> keys;
};
Quorum quorum_of(const TrustFile& file);  // its root keys, without revoked ones

// How many different keys of a quorum have signed.
Result<u64> count_signers(const TrustFile& file, const Quorum& quorum);

// The verdicts on a trust file, for a machine that has version `now`.
enum class Step : u8 {
  kFollows,
  kOld,           // a version that the machine has, or a lower one
  kGap,           // there are versions between
  kUnknownKey,    // signed by a key that is a root key neither of this version nor of `now`
  kBadSignature,  // a signature is wrong
  kOldQuorum,     // too few root keys of `now` have signed
  kOwnQuorum,     // too few root keys of its own have signed
};
const char* step_reason(Step step);

// Judges `next` by the version before. All its signatures must be good ones by root keys: a flipped
// bit anywhere in the text is refused, even where enough other signatures are left.
Result<Step> judge_step(const TrustFile& next, u64 now, const Quorum& before);
// Judges a trust file that came with the image: by its own keys only.
Result<Step> judge_first(const TrustFile& file);

}  // namespace service::bundle
