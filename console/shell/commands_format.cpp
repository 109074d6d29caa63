// SPDX-License-Identifier: GPL-2.0-or-later
// The command `format`: makes a disk empty, with exFAT on all of it.
#include "console/shell/disk_choice.h"
#include "kernel/crypto/random.h"
#include "kernel/fs/disks.h"
#include "kernel/fs/exfat_format.h"

namespace console {
namespace {

Result<void> run_format(const Arguments& arguments, base::Writer& out) {
  if (arguments.words.size() < 2 || arguments.words.size() > 3)
    return fail(Errc::kInvalidArgument, "format DISK [LABEL]");
  std::string_view name = arguments.words[1];
  std::string_view label = arguments.words.size() > 2 ? arguments.words[2] : "";
  BlockDevice* disk = TRY(find_disk(name));
  show_disk(*disk, out);
  TRY(need_consent(name));
  TRY(fs::release_disk(*disk));
  u32 serial = 0;
  crypto::random_fill(std::span(reinterpret_cast<Byte*>(&serial), sizeof serial));
  fs::DiskMedium medium(*disk);
  Result<void> formatted = fs::format_exfat(
      medium, {.sector_bytes = disk->geometry().block_bytes, .serial = serial, .label = label});
  Result<void> mounted = fs::mount_again(*disk);
  TRY(formatted);
  TRY(mounted);
  base::format_to(out, "/disk/{} is an empty exFAT disk now\n", name);
  return {};
}

constexpr Command kFormat{
    "format",
    "format DISK [LABEL]",
    "erases a disk and puts exFAT on it",
    run_format,
    "format vdb MODELS   shows the disk and asks for its name before anything is written.\n"
    "All of the disk becomes one volume without partitions, which `model import` and other\n"
    "systems can write. lsblk lists the disks. A disk with an open file is refused.",
    false,
    complete_disk_name};
CONSOLE_COMMAND(kFormat);

}  // namespace
}  // namespace console
