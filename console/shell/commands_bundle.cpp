// SPDX-License-Identifier: GPL-2.0-or-later
// The commands about signed models: bundle keygen/make/sign/verify, and keys.
#include "console/shell/command.h"
#include "console/shell/model_use.h"
#include "console/shell/verbs.h"
#include "kernel/base/hex.h"
#include "service/bundle/make.h"
#include "service/bundle/make_trust.h"
#include "service/host_path.h"

namespace console {
namespace {

using service::bundle::Finding, service::bundle::TrustedKey;

constexpr const char* kBundleUsage =
    "bundle keygen SEED PUB | make FOLDER | sign FOLDER|TRUST.toml SEED | verify FOLDER [PUB...] | "
    "rotate|revoke TRUST.toml OPTION... SEED...";
constexpr const char* kRotateUsage =
    "the words of rotate are TRUST.toml [--threshold N] [--root PUB]... [--model PUB]... [--kernel "
    "PUB]... "
    "[--drop KEYID]... [--epoch-floor N] SEED...";
constexpr const char* kRevokeUsage =
    "the words of revoke are TRUST.toml [--key KEYID]... [--file SHA256]... [--drop KEYID]... "
    "SEED...";

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

void write_report(std::string_view path, const service::bundle::TrustReport& report,
                  base::Writer& out) {
  base::format_to(out, "{} is version {}: signed by {} of its root keys, {} must", path,
                  report.version, report.own.have, report.own.need);
  if (report.before.has_value())
    base::format_to(out, "; by {} of version {}, {} must", report.before->have, report.version - 1,
                    report.before->need);
  else if (report.version == 1)
    out.write("; a key of the image must sign it as well");
  bool lacks = report.own.have < report.own.need ||
               (report.before.has_value() && report.before->have < report.before->need);
  out.write(lacks ? "\n`bundle sign` adds a signature\n" : "\n");
}

Result<void> sign(std::span<const std::string_view> words, base::Writer& out) {
  TypedPath folder(words[0]), seed(words[1]);
  if (folder.view().ends_with(".toml")) {
    service::bundle::KeyId signer;
    auto report = TRY(service::bundle::sign_trust(folder.view(), seed.view(), signer));
    base::format_to(out, "signed by {}\n", service::bundle::name_of(signer).view());
    write_report(words[0], report, out);
    return {};
  }
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
  ShownProgress progress(io(), "hashing");
  auto judged = TRY(service::bundle::check_bundle(folder.view(), named.view(), &progress));
  if (judged.finding == Finding::kGood) {
    base::format_to(out, "{} verified (ed25519+sha256), key {}\n", words[0],
                    service::bundle::name_of(judged.key).view());
    return {};
  }
  base::format_to(out, "{} verified (sha256): {}\n", words[0], judged.reason);
  return fail(Errc::kPermission, "no trusted key vouches for this bundle");
}

// ---- trust.toml -------------------------------------------------------------------------------

using service::bundle::TrustChange, service::bundle::Use;

template <class Item>
Result<void> add_hex(std::string_view word, Vector<Item>& out, const char* why) {
  Item item;
  if (!service::bundle::unhex(word, item)) return fail(Errc::kInvalidArgument, why);
  return out.push_back(item);
}

Result<void> add_listed(std::string_view word, Use use, TrustChange& change) {
  TypedPath path(word);
  auto key = TRY(service::bundle::read_public_key(path.view()));
  return change.listed.push_back({service::bundle::key_id(key), key, use});
}

Result<void> set_number(std::string_view word, std::optional<u64>& out) {
  out = TRY(parse_number(word));
  return {};
}

constexpr const char* kNoId = "a key's id has 16 hexadecimal digits in lower case: `keys` shows it";

struct TrustOption {
  std::string_view name;
  bool rotates, revokes;  // the verbs that take it
  Result<void> (*read)(std::string_view word, TrustChange& change);
};
constexpr TrustOption kTrustOptions[] = {
    {"--threshold", true, false, [](auto w, auto& c) { return set_number(w, c.threshold); }},
    {"--epoch-floor", true, false, [](auto w, auto& c) { return set_number(w, c.epoch_floor); }},
    {"--root", true, false, [](auto w, auto& c) { return add_listed(w, Use::kRoot, c); }},
    {"--model", true, false, [](auto w, auto& c) { return add_listed(w, Use::kModel, c); }},
    {"--kernel", true, false, [](auto w, auto& c) { return add_listed(w, Use::kKernel, c); }},
    {"--drop", true, true, [](auto w, auto& c) { return add_hex(w, c.dropped, kNoId); }},
    {"--key", false, true, [](auto w, auto& c) { return add_hex(w, c.revoked_keys, kNoId); }},
    {"--file", false, true,
     [](auto w, auto& c) {
       return add_hex(
           w, c.revoked_files,
           "a file's SHA-256 has 64 hexadecimal digits in lower case: its manifest has it");
     }},
};

Result<void> read_option(std::span<const std::string_view> words, bool rotates,
                         TrustChange& change) {
  for (const TrustOption& option : kTrustOptions)
    if (option.name == words[0] && (rotates ? option.rotates : option.revokes) && words.size() > 1)
      return option.read(words[1], change);
  return fail(Errc::kInvalidArgument, rotates ? kRotateUsage : kRevokeUsage);
}

// Makes the next version of a trust.toml.
Result<void> change_trust(std::span<const std::string_view> words, bool rotates,
                          base::Writer& out) {
  constexpr usize kMostSeeds = 8;
  TypedPath path(words[0]);
  TrustChange change;
  Vector<String> seeds;
  for (usize i = 1; i < words.size(); i++) {
    if (words[i].starts_with("--")) {
      TRY(read_option(words.subspan(i++), rotates, change));
      continue;
    }
    TypedPath seed(words[i]);
    TRY(seeds.push_back(TRY(String::from(seed.view()))));
  }
  if (seeds.empty() || seeds.size() > kMostSeeds)
    return fail(Errc::kInvalidArgument, "name one to eight secret keys that sign the new version");
  if (!rotates && change.revoked_keys.empty() && change.revoked_files.empty())
    return fail(Errc::kInvalidArgument, "name what is revoked: --key KEYID or --file SHA256");
  StaticVector<std::string_view, kMostSeeds> paths;
  for (const String& seed : seeds) static_cast<void>(paths.push_back(seed.view()));  // it has room
  write_report(words[0], TRY(service::bundle::write_next_trust(path.view(), change, paths.view())),
               out);
  return {};
}

Result<void> rotate(std::span<const std::string_view> words, base::Writer& out) {
  return change_trust(words, true, out);
}

Result<void> revoke(std::span<const std::string_view> words, base::Writer& out) {
  return change_trust(words, false, out);
}

constexpr usize kMostWords = 64;
constexpr Verb kVerbs[] = {{"keygen", 2, 2, keygen},
                           {"make", 1, 1, make},
                           {"sign", 2, 2, sign},
                           {"verify", 1, 1 + service::bundle::kMostKeys, verify},
                           {"rotate", 2, kMostWords, rotate},
                           {"revoke", 2, kMostWords, revoke}};

Result<void> run_bundle(const Arguments& arguments, base::Writer& out) {
  std::span<const std::string_view> words = arguments.words.subspan(1);
  return run_verb(find_verb(kVerbs, words), words, kBundleUsage, out);
}

void complete_verb(std::string_view, void (*add)(void*, std::string_view), void* context) {
  complete_verbs(kVerbs, add, context);
}

void write_image_keys(base::Writer& out) {
  std::span<const TrustedKey> keys = service::bundle::trusted_keys();
  for (const TrustedKey& key : keys) {
    if (key.revoked) continue;
    base::format_to(out, "{}  {}\n  ", service::bundle::name_of(key.id).view(), key.path);
    base::write_hex(key.key, out);
    out.write("\n");
  }
  if (keys.empty()) out.write("no key is trusted: signatures of bundles say nothing here\n");
}

template <class List>
void write_revoked(const char* what, const List& list, base::Writer& out) {
  for (const auto& item : list) {
    base::format_to(out, "revoked {}  ", what);
    base::write_hex(item, out);
    out.write("\n");
  }
}

void write_trust(const service::bundle::TrustFile& file, std::string_view path, base::Writer& out) {
  base::format_to(out, "trust.toml version {}, threshold {}, {}\n", file.version, file.threshold,
                  path);
  if (file.epoch_floor > 0) base::format_to(out, "epoch_floor {}\n", file.epoch_floor);
  for (const service::bundle::ListedKey& key : file.keys) {
    base::format_to(out, "{}  {}{}\n  ", service::bundle::name_of(key.id).view(),
                    service::bundle::kUseNames[static_cast<usize>(key.use)],
                    file.revokes(key.id) ? ", revoked" : "");
    base::write_hex(key.key, out);
    out.write("\n");
  }
  write_revoked("key", file.revoked_keys, out);
  write_revoked("file", file.revoked_files, out);
}

Result<void> run_keys(const Arguments& arguments, base::Writer& writer) {
  bool accepts = arguments.words.size() == 2 && arguments.words[1] == "accept-older";
  if (arguments.words.size() > 1 && !accepts)
    return fail(Errc::kInvalidArgument, "keys [accept-older]");
  if (accepts) TRY(service::bundle::accept_older_trust());
  // A terminal waits, and what is trusted may change then: the text is complete before.
  String text;
  base::StringWriter out(text);
  static_cast<void>(service::bundle::trusted_keys());
  service::bundle::Trust trust = service::bundle::trust_now();
  if (trust.lost_version > 0)
    base::format_to(out,
                    "no key is trusted: this machine has accepted trust.toml version {}, and its "
                    "image does not lead there; start a newer image, or `keys accept-older`\n",
                    trust.lost_version);
  if (trust.file != nullptr)
    write_trust(*trust.file, trust.path, out);
  else if (trust.lost_version == 0)
    write_image_keys(out);
  TRY(out.status());
  writer.write(text.view());
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
    "rotate [--threshold N] [--root|--model|--kernel PUB]... [--drop KEYID]... [--epoch-floor N]\n"
    "writes the next version of trust.toml, or version 1, and signs it with each SEED; the "
    "version\n"
    "before stays beside it as trust.VERSION.toml. revoke [--key KEYID]... [--file SHA256]...\n"
    "[--drop KEYID]... does so, too. sign adds a signature to it.\n"
    "As a tool of the host: marrow bundle make models/tiny/1",
    false,
    complete_verb};
constexpr Command kKeys{
    "keys", "keys [accept-older]", "the public keys that may sign, and what is revoked", run_keys,
    "Keys come with the boot image (create_iso.sh -p KEY.pub), as boot modules *.pub; the twin's\n"
    "are named by trust.keys=. Each is shown with its id: the first 16 hexadecimal digits of its\n"
    "SHA-256. A trust.toml that was accepted takes their place: its version, threshold, keys and\n"
    "their uses are shown. accept-older forgets it, and what lies on a disk is judged anew."};
CONSOLE_COMMAND(kBundle);
CONSOLE_COMMAND(kKeys);

}  // namespace
}  // namespace console
