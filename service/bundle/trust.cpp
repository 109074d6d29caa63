// SPDX-License-Identifier: GPL-2.0-or-later
// Reads trusted keys and judges signatures.
#include "service/bundle/trust.h"

#include <version.h>

#include <algorithm>

#include "kernel/base/hex.h"
#include "kernel/base/text.h"
#include "kernel/fs/file_system.h"
#include "kernel/log.h"
#include "kernel/options.h"
#include "kernel/time/wall_clock.h"
#include "service/host_path.h"

namespace service::bundle {
namespace {

constexpr Option kVerify{"verify", OptionKind::kChoice, "prefer", "require|prefer|off",
                         "which models load: signed bundles only, or all but damaged ones, or any"};
constexpr Option kKeys{"trust.keys", OptionKind::kText, "", "FILE,FILE",
                       "public keys that the twin trusts; a machine's keys come with its image"};
KERNEL_OPTION(kVerify);
KERNEL_OPTION(kKeys);

constexpr std::string_view kBoot = "/boot", kExtension = ".pub";

struct Trust {
  Vector<TrustedKey> keys;
  bool read = false;
};
Trust& trust() {
  static constinit Trust instance;
  return instance;
}

// Collects the names of the boot modules that are keys. QEMU's -initrd passes a file without its
// name, which fs::ModuleFileSystem calls moduleN.
class KeyModules final : public fs::DirectoryVisitor {
 public:
  void on_entry(std::string_view name, const fs::FileInfo& info) override {
    bool nameless = name.starts_with("module") && info.size == crypto::kEd25519KeyBytes;
    if (info.kind != fs::FileKind::kFile || !(nameless || name.ends_with(kExtension))) return;
    char path[320];
    Result<String> copy = String::from(base::format_into(path, "{}/{}", kBoot, name));
    if (copy.has_value()) static_cast<void>(paths.push_back(std::move(*copy)));
  }
  Vector<String> paths;  // without memory a key is not trusted, and its bundles are refused
};

void add_key(std::string_view path, Vector<TrustedKey>& out) {
  Result<crypto::Ed25519PublicKey> key = read_public_key(path);
  Result<String> copy = String::from(path);
  if (!key.has_value() || !copy.has_value()) {
    log::error("trust", "{} is not trusted: {}", path,
               key.has_value() ? copy.error() : key.error());
    return;
  }
  bool known = std::ranges::any_of(out, [&](const TrustedKey& k) { return k.key == *key; });
  if (known || out.size() == kMostKeys) {
    log::warn("trust", "{} is left out: {}", path,
              known ? "the key is there already" : "16 keys are the most");
    return;
  }
  KeyId id = key_id(*key);
  if (!out.push_back({*key, id, std::move(*copy)}).has_value()) return;
  log::info("trust", "trust root loaded ({}, key {})", path, name_of(id).view());
}

Vector<TrustedKey> read_keys() {
  Vector<TrustedKey> keys;
  KeyModules modules;
  // Without boot modules there is no /boot.
  static_cast<void>(fs::list(kBoot, modules));
  for (const String& path : modules.paths) add_key(path.view(), keys);
  for (std::string_view rest = options::text(kKeys); !rest.empty();) {
    std::string_view typed = base::trim(base::split_off(rest, ','));
    char room[512];
    std::string_view path = machine_path(typed, room);
    bool given = path.starts_with("/host/") || (path.starts_with("/boot/") && !path.contains(".."));
    if (given)
      add_key(path, keys);
    else
      log::error("trust",
                 "{} is not trusted: a machine's keys come with its image, not from a disk "
                 "(create_iso.sh -p)",
                 typed);
  }
  return keys;
}

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

// Judges the signature of the table [signature], which does not name its key.
Result<Judgement> judge_plain(const Manifest& manifest, const Signature& plain,
                              std::span<const TrustedKey> keys) {
  const Signature* twin = named_twin(manifest, plain);
  Result<void> status;
  for (const TrustedKey& key : keys) {
    if (!is_good(key.key, manifest, plain, status)) continue;
    if (twin != nullptr && twin->key != key.id)
      return bad("a signature stands under the name of a key that did not make it");
    return Judgement{Finding::kGood, key.id, ""};
  }
  TRY(status);
  bool unknown = keys.empty() || (twin != nullptr && find(keys, twin->key) == nullptr);
  if (unknown) return Judgement{Finding::kUnknownKey, {}, "none of the trusted keys has signed it"};
  return bad("no trusted key has made its signature");
}

Result<Judgement> judge_named(const Manifest& manifest, const Signature& named,
                              std::span<const TrustedKey> keys) {
  const TrustedKey* key = find(keys, named.key);
  if (key == nullptr)
    return Judgement{Finding::kUnknownKey, {}, "none of the trusted keys has signed it"};
  Result<void> status;
  if (is_good(key->key, manifest, named, status)) return Judgement{Finding::kGood, key->id, ""};
  TRY(status);
  return bad("the signature of a trusted key is wrong");
}

// Rows by Mode, columns by Finding.
constexpr bool kLoads[3][5] = {
    // good, unknown key, unsigned, expired, bad
    {true, false, false, false, false},
    {true, true, true, true, false},
    {true, true, true, true, true},
};

}  // namespace

std::span<const TrustedKey> trusted_keys() {
  if (!trust().read) {
    Vector<TrustedKey> keys = read_keys();  // may wait, so another thread may have been faster
    if (!trust().read) {
      trust().keys = std::move(keys);
      trust().read = true;
      if (trust().keys.empty()) log::info("trust", "no trust root; integrity-only mode");
      if (trust().keys.empty() && verify_mode() == Mode::kRequire)
        log::error("trust",
                   "verify=require without a trusted key: no model loads; make the image "
                   "with create_iso.sh -p KEY.pub");
    }
  }
  return trust().keys.view();
}

void forget_trusted_keys() {
  trust() = {};
}

Result<crypto::Ed25519PublicKey> read_public_key(std::string_view path) {
  crypto::Ed25519PublicKey key;
  String bytes = TRY(fs::read_text(path, 4 * kKiB));
  if (bytes.size() != key.size())
    return fail(Errc::kCorrupt, "a public key has 32 bytes (`bundle keygen` makes one)");
  std::memcpy(key.data(), bytes.view().data(), key.size());
  if (!crypto::ed25519_is_key(key))
    return fail(Errc::kCorrupt, "these 32 bytes are no public key of Ed25519");
  return key;
}

KeyName name_of(const KeyId& id) {
  KeyName name;
  base::BufferWriter out(std::span(name.digits, 2 * id.size()));
  base::write_hex(id, out);
  return name;
}

Times times_now() {
  constexpr u64 kNsPerSecond = 1'000'000'000;
  u64 clock = timing::unix_time_confirmed() ? timing::unix_ns() / kNsPerSecond : 0;
  return {std::max<u64>(kMarrowDate, clock), clock};
}

Result<Judgement> judge(const Manifest& manifest, std::span<const TrustedKey> keys, Times times) {
  Judgement all{Finding::kUnsigned, {}, "it is not signed"};
  for (const Signature& signature : manifest.signatures) {
    Judgement one = TRY(signature.named ? judge_named(manifest, signature, keys)
                                        : judge_plain(manifest, signature, keys));
    if (one.finding == Finding::kBad) return one;
    // The first signature decides until a good one is found.
    bool better = all.finding == Finding::kUnsigned ||
                  (one.finding == Finding::kGood && all.finding != Finding::kGood);
    if (better) all = one;
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
