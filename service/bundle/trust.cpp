// SPDX-License-Identifier: GPL-2.0-or-later
// Judges signatures.
#include "service/bundle/trust.h"

#include <version.h>

#include <algorithm>

#include "kernel/options.h"
#include "kernel/time/wall_clock.h"

namespace service::bundle {
namespace {

constexpr Option kVerify{"verify", OptionKind::kChoice, "prefer", "require|prefer|off",
                         "which models load: signed bundles only, or all but damaged ones, or any"};
KERNEL_OPTION(kVerify);

bool is_good(const crypto::Ed25519PublicKey& key, const Manifest& manifest, const Signature& with,
             Result<void>& status) {
  std::string_view text = manifest.signed_part;
  Result<void> fits = crypto::ed25519_verify(
      key, {reinterpret_cast<const Byte*>(text.data()), text.size()}, with.bytes);
  if (!fits.has_value() && fits.error().code == Errc::kOutOfMemory) status = fits;
  return fits.has_value();
}

const TrustedKey* find(std::span<const TrustedKey> keys, const KeyId& id) {
  for (const TrustedKey& key : keys)
    if (key.id == id) return &key;
  return nullptr;
}

// Returns the table that repeats this signature under the name of a key, or null.
const Signature* named_twin(const Manifest& manifest, const Signature& plain) {
  for (const Signature& other : manifest.signatures)
    if (other.named && other.bytes == plain.bytes) return &other;
  return nullptr;
}

Judgement bad(const char* reason) {
  return {Finding::kBad, {}, reason};
}

// Returns what a good signature of a key is worth.
Judgement worth_of(const TrustedKey& key) {
  if (!key.revoked) return {Finding::kGood, key.id, ""};
  return {Finding::kRevokedKey, key.id,
          "its key is revoked (`keys`): get a generation that another key has signed"};
}

// Judges the signature of the table [signature], which does not name its key.
Result<Judgement> judge_plain(const Manifest& manifest, const Signature& plain,
                              std::span<const TrustedKey> keys) {
  const Signature* twin = named_twin(manifest, plain);
  Result<void> status;
  for (const TrustedKey& key : keys) {
    if (!key.known || !is_good(key.key, manifest, plain, status)) continue;
    if (twin != nullptr && twin->key != key.id)
      return bad("a signature stands under the name of a key that did not make it");
    return worth_of(key);
  }
  TRY(status);
  const TrustedKey* named = twin == nullptr ? nullptr : find(keys, twin->key);
  if (named != nullptr && !named->known) return worth_of(*named);
  bool nobody = std::ranges::none_of(keys, [](const TrustedKey& key) { return key.known; });
  bool unknown = nobody || (twin != nullptr && named == nullptr);
  if (unknown) return Judgement{Finding::kUnknownKey, {}, "none of the trusted keys has signed it"};
  return bad("no trusted key has made its signature");
}

Result<Judgement> judge_named(const Manifest& manifest, const Signature& named,
                              std::span<const TrustedKey> keys) {
  const TrustedKey* key = find(keys, named.key);
  if (key == nullptr)
    return Judgement{Finding::kUnknownKey, {}, "none of the trusted keys has signed it"};
  Result<void> status;
  if (!key->known || is_good(key->key, manifest, named, status)) return worth_of(*key);
  TRY(status);
  return bad("the signature of a trusted key is wrong");
}

// Returns how much a finding counts among those of several signatures; of equals the first counts.
u32 rank(Finding finding) {
  return finding == Finding::kGood         ? 3
         : finding == Finding::kRevokedKey ? 2
         : finding == Finding::kUnknownKey ? 1
                                           : 0;
}

// Rows by Mode, columns by Finding.
constexpr bool kLoads[3][7] = {
    // good, unknown key, unsigned, expired, bad, revoked key, revoked file
    {true, false, false, false, false, false, false},
    {true, true, true, true, false, false, false},
    {true, true, true, true, true, true, true},
};

bool has_revoked_file(const Manifest& manifest) {
  for (const Payload* file : {&manifest.model, &manifest.tokenizer, &manifest.kernel})
    if (file->exists() && is_revoked(file->sha256)) return true;
  return false;
}

}  // namespace

Times times_now() {
  constexpr u64 kNsPerSecond = 1'000'000'000;
  u64 clock = timing::unix_time_confirmed() ? timing::unix_ns() / kNsPerSecond : 0;
  return {std::max<u64>(kMarrowDate, clock), clock};
}

Result<Judgement> judge(const Manifest& manifest, std::span<const TrustedKey> keys, Times times) {
  if (has_revoked_file(manifest))
    return Judgement{Finding::kRevokedFile, {}, "a file of it is revoked: get another generation"};
  Judgement all{Finding::kUnsigned, {}, "it is not signed"};
  for (const Signature& signature : manifest.signatures) {
    Judgement one = TRY(signature.named ? judge_named(manifest, signature, keys)
                                        : judge_plain(manifest, signature, keys));
    if (one.finding == Finding::kBad) return one;
    if (rank(one.finding) > rank(all.finding)) all = one;
  }
  if (all.finding != Finding::kGood) return all;
  if (manifest.expires.has_value() && *manifest.expires < times.at_least)
    return Judgement{Finding::kExpired, all.key, "it has expired: get a newer generation"};
  if (times.clock != 0 && manifest.not_before > times.clock)
    return Judgement{Finding::kExpired, all.key, "it is not valid yet: is the clock right?"};
  return all;
}

Mode verify_mode() {
  std::string_view text = options::text(kVerify);
  return text == "require" ? Mode::kRequire : text == "off" ? Mode::kOff : Mode::kPrefer;
}

bool may_load(Mode mode, Finding finding) {
  return kLoads[static_cast<usize>(mode)][static_cast<usize>(finding)];
}

const char* verified_name(Verified::By by) {
  constexpr const char* kNames[] = {"no", "sha256", "ed25519"};
  return kNames[static_cast<usize>(by)];
}

}  // namespace service::bundle
