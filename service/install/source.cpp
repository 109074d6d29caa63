// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the list of files and finds them.
#include "service/install/source.h"

#include <algorithm>

#include "kernel/base/format.h"
#include "kernel/base/hex.h"
#include "kernel/base/json.h"
#include "kernel/base/text.h"
#include "kernel/dev/registry.h"
#include "kernel/fs/disks.h"
#include "kernel/log.h"
#include "kernel/time/clock.h"
#include "service/update/slots.h"

namespace service {
namespace {

constexpr std::string_view kModules = "/boot";
constexpr std::string_view kManifestModule = "/boot/manifest.json", kIdModule = "/boot/medium.id";
constexpr usize kMostFiles = 128, kMostPath = 100, kMostIdBytes = 256;
constexpr u64 kMostFileBytes = 256 * kMiB;

bool good_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

bool good_path(std::string_view path) {
  if (path.size() < 2 || path.size() > kMostPath || !path.starts_with('/')) return false;
  path.remove_prefix(1);
  while (!path.empty()) {
    bool last = !path.contains('/');
    std::string_view name = base::split_off(path, '/');
    bool dots = std::ranges::all_of(name, [](char c) { return c == '.'; });
    if (dots || !std::ranges::all_of(name, good_character)) return false;  // also without a name
    if (!last && path.empty()) return false;
  }
  return true;
}

Result<InstallFile> read_row(json::Value row) {
  constexpr const char* kBad = "the image's manifest has a bad list of files: make the image anew";
  std::string_view from = row.find("file").text(), to = row.find("to").text();
  bool special = to == kToBootSector || to == kToBiosBoot;
  if (!good_path(from) || !(special || good_path(to))) return fail(Errc::kCorrupt, kBad);
  InstallFile file;
  Result<i64> bytes = row.find("size").integer();
  if (!bytes.has_value() || *bytes < 0 || static_cast<u64>(*bytes) > kMostFileBytes ||
      !base::read_hex(row.find("sha256").text(), file.sha256))
    return fail(Errc::kCorrupt, kBad);
  file.bytes = static_cast<u64>(*bytes);
  file.from = TRY(String::from(from));
  file.to = TRY(String::from(to));
  return file;
}

bool has_place(std::span<const InstallFile> files, std::string_view to) {
  return std::ranges::any_of(files, [&](const InstallFile& file) {
    return base::equal_ignoring_case(file.to.view(), to);  // FAT knows no case
  });
}

// Returns the text of the file without the line's end, or "" if there is none.
Result<String> read_id(std::string_view path) {
  Result<String> text = fs::read_text(path, kMostIdBytes);
  if (!text.has_value()) return String();
  return String::from(base::trim(text->view()));
}

Result<bool> has_id(const fs::Mount& mount, std::string_view id) {
  char room[256];
  String there = TRY(read_id(base::format_into(room, "{}/{}", mount.point, kMediumIdFile)));
  return !id.empty() && there.view() == id;
}

// Returns the mount point of the medium with this id, or "".
Result<String> find_medium(std::string_view id) {
  for (usize i = 0; i < fs::mounts().size(); i++) {
    fs::Mount mount = fs::mounts()[i];  // a copy: disks come and go while this one is read
    if (mount.point.starts_with("/disk/") && TRY(has_id(mount, id)))
      return String::from(mount.point);
  }
  return String();
}

bool lies_in(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && path.substr(folder.size()).starts_with('/');
}

// Returns the disk of a mount, or null if it is none of a disk.
const BlockDevice* disk_of(std::string_view point) {
  for (const fs::Mount& mount : fs::mounts())
    for (const BlockDevice* disk : devices::blocks())
      if (mount.point == point && fs::lies_on(mount, *disk)) return disk;
  return nullptr;
}

// Returns true for a file of the medium, which on an installed disk may be on another volume.
bool is_on_medium(const InstallSource& source, std::string_view path) {
  if (source.point.empty()) return false;
  const BlockDevice* disk = disk_of(source.point.view());
  for (const fs::Mount& mount : fs::mounts())
    if (disk != nullptr && lies_in(path, mount.point) && fs::lies_on(mount, *disk)) return true;
  return lies_in(path, source.point.view());
}

// Adds the models whose paths are `there`, except copies of those that are known.
template <class There>
Result<void> add_models(InstallSource& source, There there) {
  Vector<ModelFile> all = TRY(find_models());
  for (const ModelFile& model : all) {
    bool known = std::ranges::any_of(source.models.view(),
                                     [&](const ModelFile& m) { return is_same_model(m, model); });
    if (known || !there(model.path.view())) continue;
    TRY(source.models.push_back(TRY(model.clone())));
    source.model_bytes += model.bytes;
  }
  return {};
}

// Logs each file that is missing or of another size.
Result<void> need_files(const InstallSource& source) {
  bool complete = true;
  for (const InstallFile& file : source.files) {
    String path = TRY(source.path_of(file));
    Result<fs::FileInfo> info = fs::stat(path.view());
    if (info.has_value() && info->kind == fs::FileKind::kFile && info->size == file.bytes) continue;
    if (info.has_value())
      log::error("install", "{} has {} bytes, not the manifest's {}", path, info->size, file.bytes);
    else
      log::error("install", "{}: {}", path, info.error());
    complete = false;
  }
  if (complete) return {};
  if (source.point.empty())
    return fail(Errc::kNotFound,
                "the medium that Marrow was started from is not mounted, and its files are no boot "
                "modules: connect it again (`mount` shows it), or start from a CD or stick");
  return fail(Errc::kCorrupt, "files of the medium are missing or damaged: make it anew");
}

Result<InstallSource> source_of(std::string_view manifest, String point) {
  Result<String> text = fs::read_text(manifest);
  InstallSource source;
  source.manifest = TRY(text.has_value() ? std::move(text) : String::from("{}"));
  source.files = TRY(read_install_list(source.manifest.view()));
  source.date = TRY(read_image_date(source.manifest.view()));
  source.point = std::move(point);
  TRY(need_files(source));
  for (const InstallFile& file : source.files) {
    source.boot_bytes += file.bytes;
    if (file.to.view().substr(1) == update::slot_path(update::Slot::kInstalled))
      source.slot_bytes = update::slot_bytes(file.bytes);
  }
  TRY(add_models(source, [&](std::string_view path) { return is_on_medium(source, path); }));
  return source;
}

}  // namespace

Result<Vector<InstallFile>> read_install_list(std::string_view manifest) {
  json::Document document = TRY(json::Document::parse(manifest));
  json::Value list = document.root().find("install");
  if (list.size() == 0)
    return fail(Errc::kNotFound,
                "Marrow was not started from an image that can be installed: make one with "
                "create_iso.sh (`make iso`) and start from it");
  Vector<InstallFile> files;
  for (json::Value row : list.elements()) {
    InstallFile file = TRY(read_row(row));
    if (has_place(files.view(), file.to.view()) || files.size() == kMostFiles)
      return fail(Errc::kCorrupt, "the image's manifest names a file twice, or too many files");
    TRY(files.push_back(std::move(file)));
  }
  if (!has_place(files.view(), kToBootSector) || !has_place(files.view(), kToBiosBoot))
    return fail(Errc::kCorrupt, "the image's manifest names no boot loader: make the image anew");
  return files;
}

Result<u64> read_image_date(std::string_view manifest) {
  json::Document document = TRY(json::Document::parse(manifest));
  Result<i64> date = document.root().find("date").integer();
  return date.has_value() && *date > 0 ? static_cast<u64>(*date) : 0;
}

Result<String> InstallSource::path_of(const InstallFile& file) const {
  char room[320];
  if (point.empty())
    return String::from(
        base::format_into(room, "{}/{}", kModules, base::base_name(file.from.view())));
  return String::from(base::format_into(room, "{}{}", point, file.from));
}

Result<String> boot_medium_id() {
  return read_id(kIdModule);
}

Result<String> find_boot_medium() {
  String id = TRY(boot_medium_id());
  return find_medium(id.view());
}

Result<bool> is_boot_disk(const BlockDevice& disk) {
  String id = TRY(boot_medium_id());
  for (usize i = 0; i < fs::mounts().size(); i++) {
    fs::Mount mount = fs::mounts()[i];  // a copy: disks come and go while this one is read
    if (fs::lies_on(mount, disk) && TRY(has_id(mount, id.view()))) return true;
  }
  return false;
}

Result<InstallSource> find_install_source() {
  constexpr u64 kMostWaitNs = 10'000'000'000;
  fs::wait_for_disks(timing::now_ns() + kMostWaitNs);
  String point = TRY(find_boot_medium());
  InstallSource source = TRY(source_of(kManifestModule, std::move(point)));
  TRY(add_models(source, [](std::string_view path) { return lies_in(path, kModules); }));
  return source;
}

Result<InstallSource> install_source_at(std::string_view point) {
  char room[320];
  std::string_view manifest = base::format_into(room, "{}/{}", point, kManifestFile);
  return source_of(manifest, TRY(String::from(point)));
}

}  // namespace service
