// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the installation.
#include "service/install/install.h"

#include <algorithm>

#include "kernel/base/hex.h"
#include "kernel/base/text.h"
#include "kernel/fs/disks.h"
#include "kernel/fs/exfat_format.h"
#include "kernel/fs/fat.h"
#include "kernel/fs/fat_format.h"
#include "kernel/log.h"
#include "kernel/sched/thread.h"
#include "service/import.h"
#include "service/install/loader.h"
#include "service/install/sums.h"
#include "service/update/slots.h"

namespace service {
namespace {

constexpr usize kPieceBytes = kMiB;
constexpr const char* kOther = "the disk returns other bytes than it was given: use another disk";

// Gives each piece of a file to `take`. Returns kCorrupt if its bytes are not those of the list.
template <class Take>
Result<void> read_pieces(fs::File& file, const InstallFile& wanted, Take take) {
  Vector<Byte> piece;
  TRY(piece.resize(kPieceBytes));
  crypto::Sha256 sha;
  for (u64 at = 0; at < wanted.bytes; sched::yield()) {
    usize most = static_cast<usize>(std::min<u64>(kPieceBytes, wanted.bytes - at));
    usize read = TRY(file.read_at(at, piece.view().first(most)));
    if (read == 0) break;
    auto bytes = std::span<const Byte>(piece.view().first(read));
    sha.update(bytes);
    TRY(take(at, bytes));
    at += read;
  }
  if (sha.finish() == wanted.sha256) return {};
  log::error("install", "{}: its SHA-256 is not the manifest's", wanted.from);
  return fail(Errc::kCorrupt, "a file was read with other bytes than the image was made of");
}

// One run of an installation.
class Installation {
 public:
  Installation(const InstallSource& source, BlockDevice& disk, const DiskLayout& layout,
               const DiskIds& ids, const InstallWatch& watch)
      : source_(source), layout_(layout), ids_(ids), watch_(watch), disk_(disk) {}

  // Reads all files of the medium once, because a damaged one must not cost the old disk.
  Result<void> prepare();
  Result<void> run() {
    TRY(fs::erase_partitions(disk_));
    TRY(format_volumes());
    TRY(write_boot_volume());
    TRY(check_boot_volume());
    return write_loader();
  }

 private:
  fs::MediumPart part(DiskPart which) {
    return {disk_, layout_.offset(which), layout_.bytes(which)};
  }
  u32 first_block(DiskPart which) const {
    return static_cast<u32>(layout_.parts[static_cast<usize>(which)].first);
  }
  Result<void> advance(u64 bytes);
  Result<void> format_volumes();
  Result<void> write_boot_volume();
  Result<void> copy(fs::Fat& fat, const InstallFile& file);
  Result<void> make_id();
  Result<void> make_slots(fs::Fat& fat);
  Result<void> check_boot_volume();
  Result<void> write_loader();

  const InstallSource& source_;
  const DiskLayout& layout_;
  const DiskIds& ids_;
  const InstallWatch& watch_;
  fs::DiskMedium disk_;
  Vector<Byte> boot_sector_, core_;  // of GRUB for BIOS, with their places
  String id_, sums_;                 // files of the new medium
  u64 done_ = 0;                     // bytes of files that were read from the medium or the disk
};

// Each file is read from the medium, written, and read back.
Result<void> Installation::advance(u64 bytes) {
  done_ += bytes;
  watch_.copying.on_progress(done_, 3 * source_.boot_bytes);
  return watch_.copying.stopped() ? fail(Errc::kCancelled, "stopped") : Result<void>();
}

Result<void> Installation::prepare() {
  for (const InstallFile& file : source_.files) {
    bool sector = file.to.view() == kToBootSector;
    Vector<Byte>* into = sector ? &boot_sector_ : is_boot_code(file) ? &core_ : nullptr;
    String path = TRY(source_.path_of(file));
    base::Owner<fs::File> in = TRY(fs::open(path.view()));
    if (into != nullptr) TRY(into->resize(static_cast<usize>(file.bytes)));
    TRY(read_pieces(*in, file, [&](u64 at, std::span<const Byte> bytes) {
      if (into != nullptr) std::ranges::copy(bytes, into->data() + at);
      return advance(bytes.size());
    }));
  }
  u64 core_block = layout_.parts[static_cast<usize>(DiskPart::kBiosBoot)].first;
  if (core_.size() > layout_.bytes(DiskPart::kBiosBoot))
    return fail(Errc::kCorrupt, "the boot loader is larger than its partition");
  TRY(place_boot_sector(boot_sector_.view(), core_block));
  return place_core(core_.view(), core_block);
}

Result<void> Installation::format_volumes() {
  fs::MediumPart boot = part(DiskPart::kBoot), state = part(DiskPart::kState),
                 data = part(DiskPart::kData);
  TRY(fs::format_fat32(boot, {.sector_bytes = layout_.block_bytes,
                              .serial = ids_.boot_serial,
                              .first_sector = first_block(DiskPart::kBoot),
                              .label = "MARROW BOOT"}));
  TRY(fs::write_zeros(state, 0, state.size()));
  TRY(advance(0));
  return fs::format_exfat(data, {.sector_bytes = layout_.block_bytes,
                                 .serial = ids_.data_serial,
                                 .first_sector = first_block(DiskPart::kData),
                                 .label = "MARROW"});
}

// Makes the folders that lead to a file.
Result<void> make_folders(fs::Fat& fat, std::string_view path) {
  for (usize at = path.find('/'); at != std::string_view::npos; at = path.find('/', at + 1)) {
    std::string_view folder = path.substr(0, at);
    if (!fat.stat(folder).has_value()) TRY(fat.make_directory(folder));
  }
  return {};
}

Result<void> Installation::copy(fs::Fat& fat, const InstallFile& file) {
  String path = TRY(source_.path_of(file));
  base::Owner<fs::File> in = TRY(fs::open(path.view()));
  TRY(make_folders(fat, file.to.view().substr(1)));
  base::Owner<fs::File> out = TRY(fat.create(file.to.view().substr(1)));
  TRY(read_pieces(*in, file, [&](u64 at, std::span<const Byte> bytes) -> Result<void> {
    TRY(out->write_at(at, bytes));
    return advance(bytes.size());
  }));
  return out->flush();
}

Result<void> write_text(fs::Fat& fat, std::string_view path, std::string_view text) {
  base::Owner<fs::File> out = TRY(fat.create(path));
  TRY(out->write_at(0, {reinterpret_cast<const Byte*>(text.data()), text.size()}));
  return out->flush();
}

Result<void> check_text(fs::Fat& fat, std::string_view path, std::string_view text) {
  base::Owner<fs::File> in = TRY(fat.open(path));
  String back;
  TRY(back.chars().resize(text.size()));
  usize read = TRY(in->read_at(0, {reinterpret_cast<Byte*>(back.chars().data()), text.size()}));
  return read == text.size() && back.view() == text ? Result<void>() : fail(Errc::kCorrupt, kOther);
}

// The disk gets an id of its own, by which a later start knows it among its copies.
Result<void> Installation::make_id() {
  id_ = TRY(base::hex_text(ids_.medium));
  return id_.push_back('\n');
}

// Updates overwrite these files in place, so they have their full size from the beginning. The
// block names the installed kernel.
Result<void> Installation::make_slots(fs::Fat& fat) {
  for (update::Slot slot : update::kWrittenSlots) {
    TRY(make_folders(fat, update::slot_path(slot)));
    base::Owner<fs::File> file = TRY(fat.create(update::slot_path(slot)));
    TRY(file->truncate(source_.slot_bytes));
    TRY(file->flush());
    TRY(advance(0));
  }
  char block[update::kBlockBytes];
  update::write_block({}, block);
  TRY(make_folders(fat, update::kBlockPath));
  return write_text(fat, update::kBlockPath, {block, sizeof block});
}

Result<void> Installation::write_boot_volume() {
  fs::MediumPart volume = part(DiskPart::kBoot);
  base::Owner<fs::Fat> fat = TRY(fs::Fat::mount(volume));
  for (const InstallFile& file : source_.files)
    if (!is_boot_code(file)) TRY(copy(*fat, file));
  TRY(make_slots(*fat));
  TRY(make_id());
  TRY(write_text(*fat, kMediumIdFile, id_.view()));
  sums_ = TRY(boot_sums(source_));
  TRY(write_text(*fat, kSumsFile, sums_.view()));
  return write_text(*fat, kManifestFile, source_.manifest.view());
}

// Reads everything back, through a mount that has nothing in its cache.
Result<void> Installation::check_boot_volume() {
  fs::MediumPart volume = part(DiskPart::kBoot);
  base::Owner<fs::Fat> fat = TRY(fs::Fat::mount(volume));
  for (const InstallFile& file : source_.files) {
    if (is_boot_code(file)) continue;
    base::Owner<fs::File> in = TRY(fat->open(file.to.view().substr(1)));
    TRY(read_pieces(*in, file,
                    [&](u64, std::span<const Byte> bytes) { return advance(bytes.size()); }));
  }
  TRY(check_text(*fat, kMediumIdFile, id_.view()));
  TRY(check_text(*fat, kSumsFile, sums_.view()));
  return check_text(*fat, kManifestFile, source_.manifest.view());
}

// From the last write on the disk boots.
Result<void> Installation::write_loader() {
  std::span<const Byte> code = boot_sector_.view().first(fs::kBootCodeBytes);
  if (layout_.boots_by_bios()) {
    fs::MediumPart volume = part(DiskPart::kBiosBoot);
    TRY(volume.write(0, core_.view()));
    TRY(volume.flush());
    Vector<Byte> back;
    TRY(back.resize(core_.size()));
    TRY(volume.read(0, back.view()));
    if (!std::ranges::equal(back.view(), core_.view())) return fail(Errc::kCorrupt, kOther);
  } else {
    code = {};
  }
  std::array<fs::NewPartition, kDiskParts> rows;
  return fs::write_partitions(disk_, table_of(layout_, ids_, rows, code));
}

}  // namespace

DiskNeeds needs_of(const InstallSource& source) {
  u64 slots = std::size(update::kWrittenSlots) * source.slot_bytes;
  return {.boot_bytes = source.boot_bytes + slots, .model_bytes = source.model_bytes};
}

Result<void> need_install_target(const InstallSource& source, BlockDevice& disk) {
  BlockGeometry geometry = disk.geometry();
  if (geometry.blocks == 0) return fail(Errc::kNotFound, "the disk is gone");
  if (geometry.read_only) return fail(Errc::kPermission, "the disk is read-only: use another disk");
  if (TRY(is_boot_disk(disk)))
    return fail(Errc::kPermission,
                "Marrow was started from this disk, or from one with the same id: name another "
                "disk (lsblk lists them)");
  TRY(fs::need_idle_disk(disk));
  TRY(plan_disk(geometry.blocks, geometry.block_bytes, needs_of(source)));
  return {};
}

Result<void> install_boot(const InstallSource& source, BlockDevice& disk, const DiskIds& ids,
                          const InstallWatch& watch, DiskState& state) {
  state = DiskState::kUntouched;
  TRY(need_install_target(source, disk));
  BlockGeometry geometry = disk.geometry();
  DiskLayout layout = TRY(plan_disk(geometry.blocks, geometry.block_bytes, needs_of(source)));
  Installation installation(source, disk, layout, ids, watch);
  TRY(installation.prepare());
  TRY(fs::release_disk(disk));
  state = DiskState::kErased;
  Result<void> done = installation.run();
  if (done.has_value()) state = DiskState::kBoots;
  Result<void> mounted = fs::mount_again(disk);
  TRY(done);
  return mounted;
}

Result<String> data_point(const BlockDevice& disk) {
  for (const fs::Mount& mount : fs::mounts())
    if (fs::lies_on(mount, disk) && std::string_view(mount.file_system->kind()) == "exfat")
      return String::from(mount.point);
  return fail(Errc::kIo, "the new data volume cannot be mounted: dmesg says why");
}

Result<String> install_model(const ModelFile& model, std::string_view data,
                             const InstallWatch& watch) {
  Imported imported = TRY(import_model(
      model,
      {.root = data, .copying = &watch.copying, .checking = &watch.checking, .of_image = true}));
  return std::move(imported.folder);
}

}  // namespace service
