// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the image's keys, and follows the versions of trust.toml from them.
#include "service/bundle/roots.h"

#include <algorithm>

#include "kernel/base/hash.h"
#include "kernel/base/hex.h"
#include "kernel/base/json.h"
#include "kernel/base/text.h"
#include "kernel/fs/file_system.h"
#include "kernel/log.h"
#include "kernel/options.h"
#include "service/bundle/record.h"
#include "service/bundle/trust.h"
#include "service/host_path.h"

namespace service::bundle {
namespace {

constexpr Option kKeys{"trust.keys", OptionKind::kText, "", "FILE,FILE",
                       "public keys that the twin trusts, and a trust.toml; a machine's come with "
                       "its image"};
KERNEL_OPTION(kKeys);

constexpr std::string_view kBoot = "/boot", kExtension = ".pub", kTrustExtension = ".toml";
constexpr std::string_view kRecord = "versions";
constexpr usize kMostVersions = 64;  // that are kept: some 300 KiB
constexpr const char* kTooMany =
    "this machine has followed 64 versions: put the trust.toml into its image";
constexpr const char* kTooLong = "it has more than 4096 bytes";

// The keys that sign for each use, with the revoked ones.
struct Lists {
  Vector<TrustedKey> model, kernel;
};

struct State {
  bool read = false;         // the image's keys were read
  bool found = false;        // the record of accepted versions was read
  bool storing = false;      // a thread writes the record
  bool changed = false;      // since it began to
  Vector<TrustedKey> image;  // the image's keys
  Vector<String> texts;      // the versions from the image's trust.toml on
  TrustFile file;            // the last of them, if there is one
  String path;               // where that was read
  String lost_text;          // the newest version of a record that the image does not lead to
  TrustFile lost;
  Lists lists;
  u64 seen[64] = {};  // what was judged: see is_new()
  usize next_seen = 0;
};
State& state() {
  static constinit State instance;
  return instance;
}

u64 version() {
  return state().texts.empty() ? 0 : state().file.version;
}

// ---- the image ------------------------------------------------------------------------------

// Collects the names of the boot modules that are keys. QEMU's -initrd passes a file without its
// name, which fs::ModuleFileSystem calls moduleN.
class KeyModules final : public fs::DirectoryVisitor {
 public:
  void on_entry(std::string_view name, const fs::FileInfo& info) override {
    bool nameless = name.starts_with("module") && info.size == crypto::kEd25519KeyBytes;
    bool wanted = nameless || name.ends_with(kExtension) || name == kTrustName;
    if (info.kind != fs::FileKind::kFile || !wanted) return;
    char path[320];
    Result<String> copy = String::from(base::format_into(path, "{}/{}", kBoot, name));
    if (copy.has_value()) static_cast<void>(paths.push_back(std::move(*copy)));
  }
  Vector<String> paths;  // without memory a key is not trusted, and its bundles are refused
};

void add_key(std::string_view path, State& out) {
  Result<crypto::Ed25519PublicKey> key = read_public_key(path);
  Result<String> copy = String::from(path);
  if (!key.has_value() || !copy.has_value()) {
    log::error("trust", "{} is not trusted: {}", path,
               key.has_value() ? copy.error() : key.error());
    return;
  }
  bool known = std::ranges::any_of(out.image, [&](const TrustedKey& k) { return k.key == *key; });
  if (known || out.image.size() == kMostKeys) {
    log::warn("trust", "{} is left out: {}", path,
              known ? "the key is there already" : "16 keys are the most");
    return;
  }
  KeyId id = key_id(*key);
  if (!out.image.push_back({*key, id, std::move(*copy)}).has_value()) return;
  log::info("trust", "trust root loaded ({}, key {})", path, name_of(id).view());
}

Result<TrustFile> judged_first(std::string_view text) {
  TrustFile file = TRY(parse_trust(text));
  Step step = TRY(judge_first(file));
  if (step != Step::kFollows) return fail(Errc::kPermission, step_reason(step));
  return file;
}

Result<void> take_first(std::string_view path, State& out) {
  String text = TRY(fs::read_text(path, kMostManifestBytes));
  TrustFile file = TRY(judged_first(text.view()));
  if (!out.texts.empty() && out.file.version >= file.version) return {};
  out.path = TRY(String::from(path));
  out.texts.clear();
  TRY(out.texts.push_back(std::move(text)));
  out.file = file;
  return {};
}

// An image whose trust.toml is damaged trusts nobody: its maker meant other keys than the files.
void add_first(std::string_view path, State& out, bool& damaged) {
  Result<void> taken = take_first(path, out);
  if (taken.has_value()) return;
  damaged = true;
  log::error("trust", "{} of the image is refused, and no key is trusted: {}", path, taken.error());
}

void add_any(std::string_view path, State& out, bool& damaged) {
  if (path.ends_with(kTrustExtension))
    add_first(path, out, damaged);
  else
    add_key(path, out);
}

State read_image() {
  State out;
  bool damaged = false;
  KeyModules modules;
  // Without boot modules there is no /boot.
  static_cast<void>(fs::list(kBoot, modules));
  for (const String& path : modules.paths) add_any(path.view(), out, damaged);
  for (std::string_view rest = options::text(kKeys); !rest.empty();) {
    std::string_view typed = base::trim(base::split_off(rest, ','));
    char room[512];
    std::string_view path = machine_path(typed, room);
    bool given = path.starts_with("/host/") || (path.starts_with("/boot/") && !path.contains(".."));
    if (given)
      add_any(path, out, damaged);
    else
      log::error("trust",
                 "{} is not trusted: a machine's keys come with its image, not from a disk "
                 "(create_iso.sh -p)",
                 typed);
  }
  if (damaged) out.image.clear(), out.texts.clear();
  return out;
}

// ---- the keys of a version --------------------------------------------------------------------

Result<void> add_to(Vector<TrustedKey>& list, const TrustedKey& key) {
  return list.push_back({key.key, key.id, TRY(key.path.clone()), key.revoked, key.known});
}

// The key itself stays known where somebody listed it, so that a signature without its id is
// recognised.
Result<TrustedKey> revoked_key(const State& s, const TrustFile& file, const KeyId& id) {
  TrustedKey out{{}, id, TRY(s.path.clone()), true, false};
  for (const ListedKey& listed : file.keys)
    if (listed.id == id) out.key = listed.key, out.known = true;
  for (const TrustedKey& of_image : s.image)
    if (of_image.id == id) out.key = of_image.key, out.known = true;
  return out;
}

// A record that the image's keys do not lead to can be anybody's. It takes trust away, and gives
// none.
Result<Lists> lists_of(const State& s) {
  Lists lists;
  bool lost = s.lost.version > 0, none = s.texts.empty();
  for (const TrustedKey& key : s.image)
    if (none && !lost) {
      TRY(add_to(lists.model, key));
      TRY(add_to(lists.kernel, key));
    }
  if (none && !lost) return lists;
  const TrustFile& file = lost ? s.lost : s.file;
  for (const ListedKey& listed : file.keys) {
    if (lost || listed.use == Use::kRoot || file.revokes(listed.id)) continue;
    TrustedKey key{listed.key, listed.id, TRY(s.path.clone())};
    TRY(add_to(listed.use == Use::kModel ? lists.model : lists.kernel, key));
  }
  for (const KeyId& id : file.revoked_keys) {
    TrustedKey key = TRY(revoked_key(s, file, id));
    TRY(add_to(lists.model, key));
    TRY(add_to(lists.kernel, key));
  }
  return lists;
}

// Makes the lists anew. Without memory nobody is trusted.
void make_lists() {
  Result<Lists> lists = lists_of(state());
  state().lists = lists.has_value() ? std::move(*lists) : Lists();
  if (!lists.has_value()) log::error("trust", "no key is trusted: {}", lists.error());
}

// ---- later versions ---------------------------------------------------------------------------

Quorum present_quorum() {
  if (!state().texts.empty()) return quorum_of(state().file);
  Quorum quorum{1, {}};
  for (const TrustedKey& key : state().image)
    static_cast<void>(quorum.keys.push_back({key.id, key.key, Use::kRoot}));  // as much room
  return quorum;
}

// Takes a version that follows. Does not wait.
Result<Step> follow(const TrustFile& next, String&& text, std::string_view path) {
  State& s = state();
  Step step = TRY(judge_step(next, version(), present_quorum()));
  if (step != Step::kFollows) return step;
  if (s.texts.size() == kMostVersions) return fail(Errc::kFull, kTooMany);
  String copy = TRY(String::from(path));
  TRY(s.texts.push_back(std::move(text)));
  s.path = std::move(copy);
  s.file = next;
  if (s.file.version >= s.lost.version) s.lost = {}, s.lost_text = {};
  make_lists();
  return step;
}

Result<String> record_text() {
  String text;
  base::StringWriter sink(text);
  json::Writer w(sink);
  w.begin_object().key("versions").begin_array();
  for (const String& version : state().texts) w.value(version.view());
  w.end_array().end_object();
  TRY(sink.status());
  return text;
}

// Writes the record. A thread that finds another one writing leaves it to that one.
void store_versions() {
  State& s = state();
  s.changed = true;
  // A record of higher versions is not overwritten by what the image leads to.
  if (s.storing || s.lost.version > 0) return;
  s.storing = true;
  while (state().changed) {
    state().changed = false;
    Result<String> text = record_text();
    Result<String> place = text.has_value() ? store_record(kRecord, text->view()) : std::move(text);
    if (place.has_value())
      log::info("trust", "accepted versions of trust.toml: {}", *place);
    else
      log::warn("trust", "trust.toml version {} is not kept: {}", version(), place.error());
  }
  state().storing = false;
}

// Follows one version of the record.
Result<void> replay(std::string_view text) {
  String copy = TRY(String::from(text));
  TrustFile file = TRY(parse_trust(copy.view()));
  if (file.version <= version()) return {};
  String newest = TRY(copy.clone());
  Step step = TRY(follow(file, std::move(copy), "kept by this machine"));
  if (step == Step::kFollows) {
    log::info("trust", "trust.toml version {} is kept by this machine", version());
    return {};
  }
  TrustFile lost = TRY(parse_trust(newest.view()));
  if (lost.version < state().lost.version) return {};
  state().lost_text = std::move(newest);
  state().lost = lost;
  return {};
}

// Reads the record of what was accepted, once it can be found: its disk may come after the boot.
void adopt_record() {
  if (state().found) return;
  Result<String> bytes = load_record(kRecord);
  if (!bytes.has_value() || state().found) return;  // reading waits: a thread may have been faster
  Result<json::Document> document = json::Document::parse(bytes->view());
  if (!document.has_value()) return;
  state().found = true;
  for (json::Value row : document->root().find("versions").elements())
    if (Result<void> done = replay(row.text()); !done.has_value())
      log::error("trust", "a kept version of trust.toml is left out: {}", done.error());
  if (state().lost.version > 0)
    log::error("trust",
               "no key is trusted: this machine has accepted trust.toml version {}, and its image "
               "does not lead there; start a newer image, or `keys accept-older`",
               state().lost.version);
  make_lists();
}

void read_once() {
  if (!state().read) {
    State image = read_image();  // may wait, so another thread may have been faster
    if (!state().read) {
      state() = std::move(image);
      state().read = true;
      make_lists();
      if (version() > 0) log::info("trust", "trust.toml version {} ({})", version(), state().path);
      bool none = state().image.empty() && version() == 0;
      if (none) log::info("trust", "no trust root; integrity-only mode");
      if (none && verify_mode() == Mode::kRequire)
        log::error("trust",
                   "verify=require without a trusted key: no model loads; make the image "
                   "with create_iso.sh -p KEY.pub");
    }
  }
  adopt_record();
}

// Each text is judged and told once for each version that the machine has. When the table is full,
// the oldest row is overwritten.
bool is_new(std::string_view path, std::string_view text) {
  State& s = state();
  base::Fnv1a hash;
  hash.add(version());
  for (std::string_view part : {path, text}) {
    hash.add(u64{part.size()});
    hash.add(part);
  }
  if (std::ranges::find(s.seen, hash.value()) != std::end(s.seen)) return false;
  s.seen[s.next_seen++ % std::size(s.seen)] = hash.value();
  return true;
}

std::string_view path_of(std::string_view folder, u64 number, std::span<char> room) {
  return number == 0 ? base::format_into(room, "{}/{}", folder, kTrustName)
                     : base::format_into(room, "{}/trust.{}.toml", folder, number);
}

void tell_refusal(std::string_view path, u64 number, std::string_view reason) {
  log::warn("trust", "trust.toml version {} rejected: {}: {}", number, path, reason);
}

bool in_force(const TrustFile& file, std::string_view text) {
  return file.version == version() && !state().texts.empty() && text == state().texts.back().view();
}

// Judges one file. Returns true if the machine has a newer version now.
bool look_at(std::string_view folder, u64 number) {
  char room[512];
  std::string_view path = path_of(folder, number, room);
  Result<String> text = fs::read_text(path, kMostManifestBytes);
  if (!text.has_value()) {
    bool too_long = text.error().code == Errc::kOutOfRange;
    if (too_long && is_new(path, "")) tell_refusal(path, 0, kTooLong);
    return false;
  }
  Result<TrustFile> file = parse_trust(text->view());
  if (!file.has_value()) {
    if (is_new(path, text->view())) tell_refusal(path, 0, file.error().what);
    return false;
  }
  if (in_force(*file, text->view())) return false;
  bool gap = number == 0 && file->version > version() + 1;
  if (gap && look_at(folder, version() + 1)) return true;
  if (!is_new(path, text->view())) return false;
  Result<Step> step = follow(*file, std::move(*text), path);
  if (!step.has_value() || *step != Step::kFollows) {
    tell_refusal(path, file->version, step.has_value() ? step_reason(*step) : step.error().what);
    return false;
  }
  log::info("trust", "trust.toml version {} is accepted ({})", version(), path);
  return true;
}

}  // namespace

std::span<const TrustedKey> trusted_keys(Use use) {
  read_once();
  return use == Use::kKernel ? state().lists.kernel.view() : state().lists.model.view();
}

void forget_trusted_keys() {
  state() = {};
}

Trust trust_now() {
  const State& s = state();
  return {s.texts.empty() ? nullptr : &s.file, s.path.view(), s.lost.version};
}

bool is_revoked(const crypto::Sha256Digest& file) {
  const State& s = state();
  return (!s.texts.empty() && s.file.revokes(file)) || s.lost.revokes(file);
}

u64 epoch_floor() {
  const State& s = state();
  return std::max(s.texts.empty() ? 0 : s.file.epoch_floor, s.lost.epoch_floor);
}

void look_for_trust(std::string_view folder) {
  read_once();
  bool taken = false;
  while (look_at(folder, 0)) taken = true;
  if (taken) store_versions();
}

std::optional<TrustRefusal> refusal_of_trust(std::string_view folder) {
  read_once();
  char room[512];
  Result<String> text = fs::read_text(path_of(folder, 0, room), kMostManifestBytes);
  if (!text.has_value() && text.error().code == Errc::kOutOfRange) return TrustRefusal{0, kTooLong};
  if (!text.has_value()) return std::nullopt;
  Result<TrustFile> file = parse_trust(text->view());
  if (!file.has_value()) return TrustRefusal{0, file.error().what};
  if (in_force(*file, text->view())) return std::nullopt;
  Result<Step> step = judge_step(*file, version(), present_quorum());
  if (!step.has_value()) return TrustRefusal{file->version, step.error().what};
  if (*step != Step::kFollows) return TrustRefusal{file->version, step_reason(*step)};
  bool full = state().texts.size() == kMostVersions;
  return TrustRefusal{file->version, full ? kTooMany : "there is no memory for it: try again"};
}

Result<void> accept_older_trust() {
  if (state().storing) return fail(Errc::kBusy, "a trust.toml is just being kept: try again");
  forget_trusted_keys();
  TRY(store_record(kRecord, R"({"versions":[]})"));
  read_once();
  return {};
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

}  // namespace service::bundle
