// SPDX-License-Identifier: GPL-2.0-or-later
// Writes versions of trust.toml.
#include "service/bundle/make_trust.h"

#include <algorithm>

#include "kernel/base/hex.h"
#include "kernel/base/text.h"
#include "kernel/fs/file_system.h"
#include "service/bundle/make.h"

namespace service::bundle {
namespace {

// A trust file and the text that it looks at. It can be moved, since the text stays where it is.
struct ReadTrust {
  String text;
  TrustFile file;
};

Result<ReadTrust> read_trust(std::string_view path) {
  ReadTrust read;
  read.text = TRY(fs::read_text(path, kMostManifestBytes));
  read.file = TRY(parse_trust(read.text.view()));
  return read;
}

template <class Item, class List>
bool holds(const List& list, const Item& item) {
  return std::ranges::find(list, item) != list.end();
}

// Returns the old list and what is new of the other one.
template <class Item, usize N>
Result<Vector<Item>> joined(const StaticVector<Item, N>* old, const Vector<Item>& more) {
  Vector<Item> all;
  if (old != nullptr) TRY(all.append(old->view()));
  for (const Item& item : more)
    if (!holds(all, item)) TRY(all.push_back(item));
  return all;
}

template <class Item>
void write_list(std::string_view key, const Vector<Item>& items, base::Writer& out) {
  if (items.empty()) return;
  base::format_to(out, "{} = \"", key);
  for (const Item& item : items) {
    if (&item != items.data()) out.write(" ");
    base::write_hex(item, out);
  }
  out.write("\"\n");
}

void write_key(const ListedKey& key, base::Writer& out) {
  out.write("\n[key.");
  base::write_hex(key.id, out);
  out.write("]\npub = \"");
  base::write_hex(key.key, out);
  base::format_to(out, "\"\nuse = \"{}\"\n", kUseNames[static_cast<usize>(key.use)]);
}

// Returns "FOLDER/trust.VERSION.toml" for a path in that folder.
std::string_view kept_path(std::string_view path, u64 version, std::span<char> room) {
  std::string_view folder = path.substr(0, path.size() - base::base_name(path).size());
  return base::format_into(room, "{}trust.{}.toml", folder, version);
}

Result<TrustReport> report_on(std::string_view path, const TrustFile& file) {
  Quorum own = quorum_of(file);
  TrustReport report{file.version, {}, {TRY(count_signers(file, own)), own.threshold}};
  char room[512];
  Result<ReadTrust> before = read_trust(kept_path(path, file.version - 1, room));
  if (!before.has_value()) return report;
  Quorum old = quorum_of(before->file);
  report.before = Signers{TRY(count_signers(file, old)), old.threshold};
  return report;
}

// Keeps the version that lies there under its number.
Result<void> keep_version(std::string_view path, const ReadTrust& now) {
  TrustReport report = TRY(report_on(path, now.file));
  bool old_ready = !report.before.has_value() || report.before->have >= report.before->need;
  if (!old_ready || report.own.have < report.own.need)
    return fail(Errc::kInvalidArgument,
                "the version that is there lacks signatures: `bundle sign` it first, or remove it");
  char room[512];
  return write_text(kept_path(path, now.file.version, room), now.text.view());
}

}  // namespace

Result<String> next_trust_text(const TrustFile* before, const TrustChange& change) {
  u64 floor = before == nullptr ? 0 : before->epoch_floor;
  if (change.epoch_floor.has_value() && *change.epoch_floor < floor)
    return fail(Errc::kInvalidArgument, "epoch_floor is not lowered: machines may rely on it");
  String text;
  base::StringWriter out(text);
  base::format_to(out, "version = {}\nthreshold = {}\n",
                  before == nullptr ? 1 : before->version + 1,
                  change.threshold.value_or(before == nullptr ? 1 : before->threshold));
  floor = change.epoch_floor.value_or(floor);
  if (floor > 0) base::format_to(out, "epoch_floor = {}\n", floor);
  write_list("revoked_keys",
             TRY(joined(before == nullptr ? nullptr : &before->revoked_keys, change.revoked_keys)),
             out);
  write_list(
      "revoked_files",
      TRY(joined(before == nullptr ? nullptr : &before->revoked_files, change.revoked_files)), out);
  auto is_listed = [&](const KeyId& id) {
    return std::ranges::any_of(change.listed, [&](const ListedKey& key) { return key.id == id; });
  };
  if (before != nullptr)
    for (const ListedKey& key : before->keys)
      if (!holds(change.dropped, key.id) && !is_listed(key.id)) write_key(key, out);
  for (const ListedKey& key : change.listed) write_key(key, out);
  TRY(out.status());
  TRY(parse_trust(text.view()));
  return text;
}

Result<TrustReport> write_next_trust(std::string_view path, const TrustChange& change,
                                     std::span<const std::string_view> seed_paths) {
  Result<ReadTrust> now = read_trust(path);
  if (!now.has_value() && now.error().code != Errc::kNotFound) return std::unexpected(now.error());
  String text = TRY(next_trust_text(now.has_value() ? &now->file : nullptr, change));
  KeyId id;
  for (std::string_view seed : seed_paths) text = TRY(sign_text(text.view(), seed, id));
  if (now.has_value()) TRY(keep_version(path, *now));
  TRY(write_text(path, text.view()));
  return report_on(path, TRY(parse_trust(text.view())));
}

Result<TrustReport> sign_trust(std::string_view path, std::string_view seed_path, KeyId& id) {
  ReadTrust now = TRY(read_trust(path));
  String text = TRY(sign_text(now.text.view(), seed_path, id));
  TRY(write_text(path, text.view()));
  return report_on(path, TRY(parse_trust(text.view())));
}

}  // namespace service::bundle
