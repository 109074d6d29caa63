// SPDX-License-Identifier: GPL-2.0-or-later
// The command `install`: makes a disk one that Marrow starts from.
#include "console/shell/disk_choice.h"
#include "console/shell/model_use.h"
#include "console/shell/units.h"
#include "kernel/fs/disks.h"
#include "kernel/time/wall_clock.h"
#include "service/host_path.h"
#include "service/install/file_disk.h"
#include "service/install/install.h"
#include "service/install/sums.h"

namespace console {
namespace {

using service::DiskState;

constexpr const char* kUsage =
    "install DISK [--without-models] | install --to-image FILE --from ISO [--size MIB]";

// Says from where and what will be copied.
void show_source(const service::InstallSource& source, base::Writer& out) {
  base::format_to(out, "from {}: {} files of {} MiB",
                  source.point.empty() ? "the boot modules" : source.point.view(),
                  source.files.size(), mebibytes(source.boot_bytes));
  for (const service::ModelFile& model : source.models)
    base::format_to(out, ", {} of {} MiB", model.name, mebibytes(model.bytes));
  if (source.models.empty()) out.write(", no models");
  out.write("\n");
}

void show_layout(const service::DiskLayout& layout, base::Writer& out) {
  base::format_to(
      out, "to it: boot loader {} MiB, boot (FAT32) {} MiB, state {} MiB, data (exFAT) {} MiB\n",
      mebibytes(layout.bytes(service::DiskPart::kBiosBoot)),
      mebibytes(layout.bytes(service::DiskPart::kBoot)),
      mebibytes(layout.bytes(service::DiskPart::kState)),
      mebibytes(layout.bytes(service::DiskPart::kData)));
  if (!layout.boots_by_bios())
    out.write("its blocks have 4096 bytes, which no BIOS reads: it will boot by UEFI only\n");
}

void show_plan(const service::InstallSource& source, BlockDevice& disk, base::Writer& out) {
  show_source(source, out);
  BlockGeometry geometry = disk.geometry();
  Result<service::DiskLayout> layout =
      service::plan_disk(geometry.blocks, geometry.block_bytes, service::needs_of(source));
  if (layout.has_value()) show_layout(*layout, out);
}

// Says what a person has now, after an error or Ctrl-C.
void show_state(DiskState state, std::string_view name, base::Writer& out) {
  switch (state) {
    case DiskState::kUntouched:
      base::format_to(out, "{} is as it was\n", name);
      return;
    case DiskState::kErased:
      base::format_to(out, "{} is empty now and does not boot: `install {}` begins again\n", name,
                      name);
      return;
    case DiskState::kBoots:
      base::format_to(out,
                      "{} boots, but lacks models: `model import NAME --to` its data volume "
                      "(`mount` lists it) copies one\n",
                      name);
      return;
    case DiskState::kComplete:
      base::format_to(out,
                      "{} is complete: take the medium out, then `reboot` (or choose this disk in "
                      "the firmware)\n",
                      name);
  }
}

// Copies all models of the image. One that cannot be copied does not keep back the others.
Result<void> copy_models(const service::InstallSource& source, BlockDevice& disk,
                         const service::InstallWatch& watch, base::Writer& out) {
  String data = TRY(service::data_point(disk));
  service::ModelSums sums(data.view());
  Result<void> all;
  for (const service::ModelFile& model : source.models) {
    Result<String> folder = service::install_model(model, data.view(), watch);
    if (folder.has_value()) {
      TRY(sums.add(model, folder->view()));
      base::format_to(out, "{} is complete and verified\n", *folder);
      continue;
    }
    if (folder.error().code == Errc::kCancelled) return std::unexpected(folder.error());
    base::format_to(out, "{} was not copied: {}\n", model.name, folder.error());
    all = std::unexpected(folder.error());
  }
  TRY(sums.write());
  return all;
}

// The lines of progress are gone when it returns.
Result<void> install_shown(const service::InstallSource& source, BlockDevice& disk,
                           const service::DiskIds& ids, DiskState& state, base::Writer& out) {
  {
    FreshProgress writing("installing"), unused("checking");
    TRY(service::install_boot(source, disk, ids, {writing, unused}, state));
  }
  base::format_to(out, "{}: kernel and boot loader are written and read back\n", disk.name());
  FreshProgress copying("copying"), checking("checking");
  TRY(copy_models(source, disk, {copying, checking}, out));
  state = DiskState::kComplete;
  return {};
}

Result<void> need_size(const service::InstallSource& source, BlockDevice& disk, base::Writer& out) {
  BlockGeometry geometry = disk.geometry();
  u64 least = service::least_disk_bytes(service::needs_of(source), geometry.block_bytes);
  if (geometry.blocks * geometry.block_bytes < least)
    base::format_to(out, "{} has {} MiB; this image needs {} MiB\n", disk.name(),
                    mebibytes(geometry.blocks * geometry.block_bytes), mebibytes(least));
  return service::need_install_target(source, disk);
}

struct Given {
  std::string_view disk, image, from;
  u64 mebibytes = 0;  // of the image; 0 = as many as it needs, and some more
  bool models = true;
};

Result<Given> parse_given(std::span<const std::string_view> words) {
  Given given;
  for (usize i = 0; i < words.size(); i++) {
    std::string_view* text = words[i] == "--to-image" ? &given.image
                             : words[i] == "--from"   ? &given.from
                                                      : nullptr;
    bool sized = words[i] == "--size";
    if ((text != nullptr || sized) && i + 1 == words.size())
      return fail(Errc::kInvalidArgument, kUsage);
    if (text != nullptr) {
      *text = words[++i];
    } else if (sized) {
      given.mebibytes = TRY(parse_number(words[++i]));
    } else if (words[i] == "--without-models") {
      given.models = false;
    } else if (words[i].starts_with('-') || !given.disk.empty()) {
      return fail(Errc::kInvalidArgument, kUsage);
    } else {
      given.disk = words[i];
    }
  }
  bool to_image = !given.image.empty() && !given.from.empty() && given.disk.empty();
  bool to_disk = !given.disk.empty() && given.image.empty() && given.from.empty();
  if (!(to_image || (to_disk && given.mebibytes == 0))) return fail(Errc::kInvalidArgument, kUsage);
  return given;
}

Result<void> install_to_disk(const Given& given, base::Writer& out) {
  BlockDevice* disk = TRY(find_disk(given.disk));
  service::InstallSource source = TRY(service::find_install_source());
  if (!given.models) source.drop_models();
  TRY(need_size(source, *disk, out));
  show_disk(*disk, out);
  show_plan(source, *disk, out);
  TRY(need_consent(given.disk));
  DiskState state = DiskState::kUntouched;
  Result<void> done = install_shown(source, *disk, service::random_ids(), state, out);
  show_state(state, given.disk, out);
  return done;
}

// Opens a file as a disk. Disks are never freed.
Result<service::FileDisk*> open_disk(const char* name, base::Owner<fs::File> file,
                                     service::FileDisk::Access access) {
  auto disk = TRY(base::make<service::FileDisk>(name, std::move(file), access));
  return disk.release();
}

Result<service::FileDisk*> make_image(std::string_view path, u64 bytes) {
  if (fs::stat(path).has_value())
    return fail(Errc::kBusy, "the image's file is there already: remove it, or name another one");
  base::Owner<fs::File> file = TRY(fs::create(path));
  TRY(file->truncate(bytes));
  return open_disk("image", std::move(file), service::FileDisk::Access::kWrite);
}

// An image is made of an ISO's bytes alone, so that whoever has the same ISO can make it again.
Result<void> install_to_new(const Given& given, base::Writer& out) {
  constexpr u64 kSpareMebibytes = 1024;  // for models that are added later
  service::InstallSource source = TRY(service::install_source_at("/disk/medium"));
  if (!given.models) source.drop_models();
  u64 least = service::least_disk_bytes(service::needs_of(source), 512) / kMiB;
  u64 size = given.mebibytes != 0 ? given.mebibytes : least + kSpareMebibytes;
  if (size < least) {
    base::format_to(out, "this image needs {} MiB\n", least);
    return fail(Errc::kFull, "the image is too small: give it a larger --size");
  }
  char room[512];
  service::FileDisk* disk = TRY(make_image(service::machine_path(given.image, room), size * kMiB));
  show_plan(source, *disk, out);
  DiskState state = DiskState::kUntouched;
  timing::FixedFileDate date(source.date);
  service::DiskIds ids = service::ids_of(crypto::sha256(source.manifest.view()));
  Result<void> done = install_shown(source, *disk, ids, state, out);
  Result<void> released = fs::release_disk(*disk);
  if (!done.has_value()) base::format_to(out, "{} is not complete: remove it\n", given.image);
  TRY(done);
  TRY(released);
  base::format_to(out, "{} is complete: {} MiB\n", given.image, size);
  return {};
}

Result<void> install_to_image(const Given& given, base::Writer& out) {
  char room[512];
  service::FileDisk* medium =
      TRY(open_disk("medium", TRY(fs::open(service::machine_path(given.from, room))),
                    service::FileDisk::Access::kRead));
  TRY(fs::mount_again(*medium));
  Result<void> done = install_to_new(given, out);
  TRY(fs::release_disk(*medium));
  return done;
}

Result<void> run_install(const Arguments& arguments, base::Writer& out) {
  Given given = TRY(parse_given(arguments.words.subspan(1)));
  return given.image.empty() ? install_to_disk(given, out) : install_to_image(given, out);
}

constexpr Command kInstall{
    "install",
    kUsage,
    "makes a disk one that Marrow starts from",
    run_install,
    "install nvme0n1   shows what is on the disk and asks for its name before anything is "
    "written.\n"
    "The files come from the CD or stick that Marrow was started from, or from boot modules. Each\n"
    "is compared with the image's manifest before the disk is erased, and read back afterwards.\n"
    "The disk gets four partitions: GRUB for BIOS, a FAT32 that UEFI and GRUB read, one for "
    "state,\n"
    "and exFAT for models. The image's models are copied there as bundles (model import).\n"
    "Ctrl-C stops it and says what state the disk is in. lsblk lists the disks. The disk that "
    "Marrow\n"
    "was started from, and one with an open file, is refused.\n"
    "install --to-image FILE --from ISO makes a new file that is the image of such a disk, from "
    "an\n"
    "image file of create_iso.sh; in the twin both are files of the host. Without --size it has "
    "room\n"
    "for 1 GiB of models more than the ISO has.",
    false,
    complete_disk_name};
CONSOLE_COMMAND(kInstall);

}  // namespace
}  // namespace console
