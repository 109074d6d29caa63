// SPDX-License-Identifier: GPL-2.0-or-later
// The command `install`: makes a disk one that Marrow starts from.
#include "console/shell/disk_choice.h"
#include "console/shell/model_use.h"
#include "service/install/install.h"

namespace console {
namespace {

using service::DiskState;

constexpr const char* kUsage = "install DISK [--without-models]";

base::Decimal mebibytes(u64 bytes) {
  return base::ratio(bytes, kMiB, 1);
}

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
  Result<void> all;
  for (const service::ModelFile& model : source.models) {
    Result<String> folder = service::install_model(model, data.view(), watch);
    if (folder.has_value()) {
      base::format_to(out, "{} is complete and verified\n", *folder);
      continue;
    }
    if (folder.error().code == Errc::kCancelled) return std::unexpected(folder.error());
    base::format_to(out, "{} was not copied: {}\n", model.name, folder.error());
    all = std::unexpected(folder.error());
  }
  return all;
}

// The lines of progress are gone when it returns.
Result<void> install_shown(const service::InstallSource& source, BlockDevice& disk,
                           DiskState& state, base::Writer& out) {
  {
    FreshProgress writing("installing"), unused("checking");
    TRY(service::install_boot(source, disk, {writing, unused}, state));
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

Result<void> run_install(const Arguments& arguments, base::Writer& out) {
  std::string_view name = "";
  bool models = true;
  for (std::string_view word : arguments.words.subspan(1)) {
    if (word == "--without-models") {
      models = false;
    } else if (word.starts_with('-') || !name.empty()) {
      return fail(Errc::kInvalidArgument, kUsage);
    } else {
      name = word;
    }
  }
  if (name.empty()) return fail(Errc::kInvalidArgument, kUsage);
  BlockDevice* disk = TRY(find_disk(name));
  service::InstallSource source = TRY(service::find_install_source());
  if (!models) source.drop_models();
  TRY(need_size(source, *disk, out));
  show_disk(*disk, out);
  show_source(source, out);
  BlockGeometry geometry = disk->geometry();
  show_layout(
      TRY(service::plan_disk(geometry.blocks, geometry.block_bytes, service::needs_of(source))),
      out);
  TRY(need_consent(name));
  DiskState state = DiskState::kUntouched;
  Result<void> done = install_shown(source, *disk, state, out);
  show_state(state, name, out);
  return done;
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
    "was started from, and one with an open file, is refused.",
    false,
    complete_disk_name};
CONSOLE_COMMAND(kInstall);

}  // namespace
}  // namespace console
