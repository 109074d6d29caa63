// SPDX-License-Identifier: GPL-2.0-or-later
// Implements `model import`, `model remove` and `model list`.
#include "console/shell/model_disk.h"

#include "console/shell/model_use.h"
#include "console/shell/units.h"
#include "kernel/fs/disks.h"
#include "service/bundle/find.h"
#include "service/bundle/roots.h"
#include "service/host_path.h"
#include "service/import.h"
#include "service/incoming.h"
#include "service/remove.h"

namespace console {
namespace {

constexpr const char* kImportUsage = "model import PATH|NAME [--to DISK] [--name NAME]";
constexpr const char* kRemoveUsage = "model remove NAME [GENERATION] [--from DISK]";

// ---- import --------------------------------------------------------------------------------

// The lines of progress are gone when it returns.
Result<service::Imported> import_shown(const service::ModelFile& source, std::string_view root,
                                       std::string_view name) {
  FreshProgress copying("copying"), checking("checking");
  return service::import_model(
      source, {.root = root, .name = name, .copying = &copying, .checking = &checking});
}

// Takes the trust.toml that came with the models: beside the path and in up to three folders above
// it, of which one is that of all bundles. Says what became of it.
void take_trust(std::string_view path, base::Writer& out) {
  constexpr u32 kFolders = 4;
  auto version = [] {
    service::bundle::Trust now = service::bundle::trust_now();
    return now.file == nullptr ? u64{0} : now.file->version;
  };
  static_cast<void>(service::bundle::trusted_keys());  // reads what is kept
  for (u32 i = 0; i < kFolders && !path.empty(); i++) {
    u64 before = version();
    service::bundle::look_for_trust(path);
    if (version() != before)
      base::format_to(out, "trust.toml of {} (version {}) is taken: `keys` shows it\n", path,
                      version());
    if (auto refused = service::bundle::refusal_of_trust(path); refused.has_value())
      base::format_to(out, "trust.toml of {} (version {}) is not taken: {}\n", path,
                      refused->version, refused->reason);
    path = path.substr(0, std::min(path.rfind('/'), path.size()));
  }
}

// ---- list ----------------------------------------------------------------------------------

Result<void> list_disk(const fs::Mount& mount, base::Writer& out) {
  Vector<service::ModelFile> models;
  Vector<service::PartialModel> partial;
  char folder[128];
  TRY(service::bundle::find_bundles(base::format_into(folder, "{}/models", mount.point), models,
                                    nullptr));
  TRY(service::find_partial(mount.point, partial));
  Result<fs::Space> space = mount.file_system->space();
  base::format_to(out, "{} ({}{}", mount.point, mount.file_system->kind(),
                  mount.file_system->writable() ? "" : ", only read");
  if (space.has_value())
    base::format_to(out, ", {} of {} MiB free", mebibytes(space->free), mebibytes(space->total));
  out.write(")\n");
  for (const service::ModelFile& file : models)
    base::format_to(out, "  {} generation {}, {} MiB\n", file.name, file.generation,
                    mebibytes(file.bytes));
  for (const service::PartialModel& file : partial)
    base::format_to(out, "  {} generation {}, not complete: {} MiB are there\n", file.name,
                    file.generation, mebibytes(file.bytes));
  if (models.empty() && partial.empty()) out.write("  no bundles\n");
  return {};
}

}  // namespace

Result<Given> parse_words(Words words, std::string_view options, const char* usage) {
  Given given;
  struct Row {
    std::string_view option;
    std::string_view* value;
  };
  const Row rows[] = {{"--to ", &given.place},
                      {"--from ", &given.place},
                      {"--name ", &given.name},
                      {"--sha256 ", &given.sha256},
                      {"--token ", &given.token}};
  for (usize i = 0; i < words.size(); i++) {
    std::string_view word = words[i];
    if (word == "--yes" && options.contains("--yes ")) {
      given.yes = true;
      continue;
    }
    const Row* row = std::ranges::find_if(rows, [&](const Row& one) {
      return one.option.substr(0, one.option.size() - 1) == word && options.contains(one.option);
    });
    bool known = row != std::end(rows) && i + 1 < words.size();
    if (known)
      *row->value = words[++i];
    else if (word.starts_with("--") || !given.plain.push_back(word))
      return fail(Errc::kInvalidArgument, usage);
  }
  return given;
}

base::Decimal mebibytes_per_second(u64 bytes, u64 ns) {
  return base::ratio(bytes / 1024 * 1'000'000 / std::max<u64>(ns / 1000, 1), 1024, 1);
}

Result<void> import_model(Words words, base::Writer& out) {
  Given given = TRY(parse_words(words, "--to --name ", kImportUsage));
  if (given.plain.size() != 1) return fail(Errc::kInvalidArgument, kImportUsage);
  // A word without a slash is a name, which is looked for on all disks, and trust.toml with it.
  char room[512];
  if (given.plain[0].contains('/')) take_trust(service::machine_path(given.plain[0], room), out);
  service::ModelFile source = TRY(service::find_model(given.plain[0]));
  String root = given.place.empty() ? TRY(service::choose_disk(source.bytes, source.path.view()))
                                    : TRY(service::place_of(given.place));
  base::format_to(out, "copying {}, {} MiB, to {}\n", source.path, mebibytes(source.bytes), root);
  u64 start = timing::now_ns();
  service::Imported done = TRY(import_shown(source, root.view(), given.name));
  if (done.present) {
    base::format_to(out, "{} has the same bytes: nothing was copied\n", done.folder);
    return {};
  }
  u64 ns = std::max<u64>(timing::now_ns() - start, 1);
  base::format_to(out, "{} is complete and verified: {} ms, {} MiB/s\n", done.folder,
                  base::ratio(ns, 1'000'000, 1), mebibytes_per_second(source.bytes, ns));
  return {};
}

Result<void> remove_model(Words words, base::Writer& out) {
  Given given = TRY(parse_words(words, "--from ", kRemoveUsage));
  if (given.plain.empty()) return fail(Errc::kInvalidArgument, kRemoveUsage);
  service::Removal removal{.name = given.plain[0]};
  if (given.plain.size() > 1) {
    removal.generation = service::bundle::generation_of(given.plain[1]);
    if (removal.generation == 0) return fail(Errc::kInvalidArgument, kRemoveUsage);
  }
  String place;
  if (!given.place.empty()) place = TRY(service::place_of(given.place));
  removal.place = place.view();
  using Was = service::Removed::Was;
  for (const service::Removed& found : TRY(service::remove_models(removal))) {
    if (found.was == Was::kComplete)
      base::format_to(out, "{} is removed, {} MiB\n", found.path, mebibytes(found.bytes));
    else
      base::format_to(out, "{} {}\n", found.path,
                      found.was == Was::kIncomplete ? "is removed: it was not complete"
                                                    : "stays: its disk is only read");
  }
  return {};
}

Result<void> list_models(Words words, base::Writer& out) {
  if (!words.empty() && words[0] != "--disk")
    return fail(Errc::kInvalidArgument, "model list [--disk]");
  constexpr u64 kMostWaitNs = 10'000'000'000;
  fs::wait_for_disks(timing::now_ns() + kMostWaitNs);
  bool any = false;
  for (usize i = 0; i < fs::mounts().size(); i++) {
    fs::Mount mount = fs::mounts()[i];  // a copy: disks come and go while this one is read
    if (!mount.point.starts_with("/disk/")) continue;
    any = true;
    Result<void> listed = list_disk(mount, out);
    if (!listed.has_value()) base::format_to(out, "{}: {}\n", mount.point, listed.error());
  }
  if (!any) out.write("no disk is mounted (`mount` says why)\n");
  return {};
}

}  // namespace console
