// SPDX-License-Identifier: GPL-2.0-or-later
// Finds and removes what has a model's name.
#include "service/remove.h"

#include "kernel/base/format.h"
#include "kernel/fs/file_system.h"
#include "service/bundle/find.h"
#include "service/engine_host.h"
#include "service/incoming.h"

namespace service {
namespace {

// Returns the mount that a path is on, or null.
const fs::Mount* mount_of(std::string_view path) {
  const fs::Mount* best = nullptr;
  for (const fs::Mount& mount : fs::mounts())
    if (path.starts_with(mount.point) &&
        (best == nullptr || mount.point.size() > best->point.size()))
      best = &mount;
  return best;
}

bool can_be_written(std::string_view path) {
  const fs::Mount* mount = mount_of(path);
  return mount != nullptr && mount->file_system->writable();
}

bool is_wanted(const Removal& removal, std::string_view path, u64 generation) {
  bool there = removal.place.empty() ? path.starts_with("/disk/")
                                     : path.starts_with(removal.place) &&
                                           path.substr(removal.place.size()).starts_with('/');
  return there && (removal.generation == 0 || removal.generation == generation);
}

std::string_view place_of(const ModelFile& file) {
  return file.generation > 0 ? file.folder.view() : file.path.view();
}

Result<Vector<ModelFile>> complete_ones(const Removal& removal) {
  Vector<ModelFile> all, wanted;
  if (removal.place.empty()) {
    all = TRY(find_models());
  } else {
    char folder[560];
    TRY(bundle::find_bundles(base::format_into(folder, "{}/models", removal.place), all, nullptr));
  }
  for (ModelFile& file : all)
    if (file.name.view() == removal.name && is_wanted(removal, place_of(file), file.generation))
      TRY(wanted.push_back(std::move(file)));
  return wanted;
}

Result<Vector<PartialModel>> incomplete_ones(const Removal& removal) {
  Vector<PartialModel> all, wanted;
  for (usize i = 0; i < fs::mounts().size(); i++) {
    fs::Mount mount = fs::mounts()[i];  // a copy: disks come and go while this one is read
    if (mount.file_system->writable() && mount.point.starts_with("/disk/"))
      TRY(find_partial(mount.point, all));
  }
  const fs::Mount* place = removal.place.empty() ? nullptr : mount_of(removal.place);
  if (place != nullptr && place->point == "/host") TRY(find_partial(removal.place, all));
  for (PartialModel& model : all)
    if (model.name.view() == removal.name &&
        is_wanted(removal, model.folder.view(), model.generation))
      TRY(wanted.push_back(std::move(model)));
  return wanted;
}

// Removes a model outside of bundles: its first file, by which it is found, and then the others.
Result<void> remove_files(const ModelFile& file) {
  for (u32 i = 0; i < file.parts; i++) {
    String path = TRY(part_path(file, i));
    TRY(fs::remove(path.view()));
  }
  return {};
}

Result<void> remove_one(const ModelFile& file, Vector<Removed>& out) {
  Removed found{Removed::Was::kOnlyRead, TRY(String::from(place_of(file))), file.bytes};
  if (can_be_written(place_of(file))) {
    TRY(file.generation > 0 ? remove_generation(place_of(file)) : remove_files(file));
    found.was = Removed::Was::kComplete;
  }
  return out.push_back(std::move(found));
}

}  // namespace

Result<Vector<Removed>> remove_models(const Removal& removal) {
  Vector<ModelFile> complete = TRY(complete_ones(removal));
  Vector<PartialModel> incomplete = TRY(incomplete_ones(removal));
  for (const ModelFile& file : complete)
    if (engine_host().lease_of(file, kConsoleHolder).has_value())
      return fail(Errc::kBusy,
                  "the model is loaded: `model unload` it first (POST /v1/models/unload)");
  Vector<Removed> out;
  // A copy under way refuses to be removed, so these come first.
  for (const PartialModel& model : incomplete) {
    TRY(remove_generation(model.folder.view()));
    TRY(out.push_back({Removed::Was::kIncomplete, TRY(model.folder.clone()), model.bytes}));
  }
  for (const ModelFile& file : complete) TRY(remove_one(file, out));
  if (out.empty())
    return fail(Errc::kNotFound, "no disk has such a model (`models` and `model list` show them)");
  for (const Removed& found : out)
    if (found.was != Removed::Was::kOnlyRead) return out;
  return fail(Errc::kPermission, "nothing was removed: the disk is only read");
}

}  // namespace service
