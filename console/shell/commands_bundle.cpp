// SPDX-License-Identifier: GPL-2.0-or-later
// The commands about signed models: bundle keygen/make/sign/verify, and keys.
#include "console/shell/command.h"
#include "console/shell/model_use.h"
#include "console/shell/verbs.h"
#include "kernel/base/hex.h"
#include "service/bundle/make.h"
#include "service/host_path.h"

namespace console {
namespace {

using service::bundle::Finding, service::bundle::TrustedKey;

constexpr const char* kBundleUsage =
    "bundle keygen SEED PUB | make FOLDER | sign FOLDER SEED | verify FOLDER [PUB...]";

// A word of the command as a path of the machine.
class TypedPath {
 public:
  explicit TypedPath(std::string_view typed) {
    while (typed.size() > 1 && typed.ends_with('/')) typed.remove_suffix(1);
    view_ = service::machine_path(typed, room_);
  }
  std::string_view view() const { return view_; }

 private:
  char room_[512];
  std::string_view view_;
};

Result<void> keygen(std::span<const std::string_view> words, base::Writer& out) {
  TypedPath seed(words[0]), key(words[1]);
  auto id = TRY(service::bundle::make_keys(seed.view(), key.view()));
  base::format_to(out, "key {}\n  secret  {}: keep it where no one else can read it\n",
                  service::bundle::name_of(id).view(), words[0]);
  base::format_to(out, "  public  {}: goes into the image (create_iso.sh -p)\n", words[1]);
  return {};
}

Result<void> make(std::span<const std::string_view> words, base::Writer& out) {
  TypedPath folder(words[0]);
  ShownProgress progress(io(), "hashing");
  TRY(service::bundle::make_manifest(folder.view(), &progress));
  base::format_to(out, "{}/{} is written; `bundle sign` signs it\n", words[0],
                  service::bundle::kManifestName);
  return {};
}

Result<void> sign(std::span<const std::string_view> words, base::Writer& out) {
  TypedPath folder(words[0]), seed(words[1]);
  auto id = TRY(service::bundle::sign_bundle(folder.view(), seed.view()));
  base::format_to(out, "{} is signed by {}\n", words[0], service::bundle::name_of(id).view());
  return {};
}

// The keys that are named, or those that this machine trusts.
Result<Vector<TrustedKey>> keys_of(std::span<const std::string_view> words) {
  Vector<TrustedKey> keys;
  for (std::string_view word : words) {
    TypedPath path(word);
    auto key = TRY(service::bundle::read_public_key(path.view()));
    TRY(keys.push_back({key, service::bundle::key_id(key), TRY(String::from(path.view()))}));
  }
  return keys;
}

Result<void> verify(std::span<const std::string_view> words, base::Writer& out) {
  TypedPath folder(words[0]);
  Vector<TrustedKey> named = TRY(keys_of(words.subspan(1)));
  std::span<const TrustedKey> keys =
      named.empty() ? service::bundle::trusted_keys() : std::span<const TrustedKey>(named.view());
  ShownProgress progress(io(), "hashing");
  auto judged = TRY(service::bundle::check_bundle(folder.view(), keys, &progress));
  if (judged.finding == Finding::kGood) {
    base::format_to(out, "{} verified (ed25519+sha256), key {}\n", words[0],
                    service::bundle::name_of(judged.key).view());
    return {};
  }
  base::format_to(out, "{} verified (sha256): {}\n", words[0], judged.reason);
  return fail(Errc::kPermission, "no trusted key vouches for this bundle");
}

constexpr Verb kVerbs[] = {{"keygen", 2, 2, keygen},
                           {"make", 1, 1, make},
                           {"sign", 2, 2, sign},
                           {"verify", 1, 1 + service::bundle::kMostKeys, verify}};

Result<void> run_bundle(const Arguments& arguments, base::Writer& out) {
  std::span<const std::string_view> words = arguments.words.subspan(1);
  return run_verb(find_verb(kVerbs, words), words, kBundleUsage, out);
}

void complete_verb(std::string_view, void (*add)(void*, std::string_view), void* context) {
  complete_verbs(kVerbs, add, context);
}

Result<void> run_keys(const Arguments&, base::Writer& out) {
  std::span<const TrustedKey> keys = service::bundle::trusted_keys();
  for (const TrustedKey& key : keys) {
    base::format_to(out, "{}  {}\n  ", service::bundle::name_of(key.id).view(), key.path);
    base::write_hex(key.key, out);
    out.write("\n");
  }
  if (keys.empty()) out.write("no key is trusted: signatures of bundles say nothing here\n");
  return {};
}

constexpr Command kBundle{
    "bundle",
    kBundleUsage,
    "makes, signs and verifies models in bundles",
    run_bundle,
    "A bundle is a folder NAME/GENERATION with manifest.toml and its files: model.gguf, or\n"
    "model.bin and tokenizer.bin. Machines find it at /models/NAME/GENERATION on a disk.\n"
    "keygen makes a secret key (SEED, 32 bytes for its owner only) and its public key (PUB, 32\n"
    "bytes for images). make writes the manifest with sizes and SHA-256. sign adds a signature.\n"
    "verify reads everything and fails unless a trusted key has signed it: one of PUB, or of\n"
    "the machine's own. A changed model needs a new generation.\n"
    "As a tool of the host: marrow bundle make models/tiny/1",
    false,
    complete_verb};
constexpr Command kKeys{
    "keys", "keys", "the public keys that may sign bundles", run_keys,
    "Keys come with the boot image (create_iso.sh -p KEY.pub), as boot modules *.pub; the twin's\n"
    "are named by trust.keys=. Each is shown with its id: the first 16 hexadecimal digits of its\n"
    "SHA-256."};
CONSOLE_COMMAND(kBundle);
CONSOLE_COMMAND(kKeys);

}  // namespace
}  // namespace console
