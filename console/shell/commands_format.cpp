// SPDX-License-Identifier: GPL-2.0-or-later
// The command `format`: makes a disk empty, with exFAT on all of it.
#include "console/shell/shell.h"
#include "kernel/base/text.h"
#include "kernel/crypto/random.h"
#include "kernel/dev/registry.h"
#include "kernel/fs/disks.h"
#include "kernel/fs/exfat_format.h"

namespace console {
namespace {

void complete_disk(std::string_view, void (*add)(void*, std::string_view), void* context) {
  for (BlockDevice* disk : devices::blocks()) add(context, disk->name());
}

// Says what will be lost.
void show_disk(BlockDevice& disk, base::Writer& out) {
  BlockGeometry g = disk.geometry();
  base::format_to(out, "{}: {} MiB, {}{}\n", disk.name(),
                  base::ratio(g.blocks * g.block_bytes, kMiB, 1), disk.driver(),
                  g.fixed ? ", stays in the machine" : "");
  bool any = false;
  for (const fs::Mount& mount : fs::mounts()) {
    if (!fs::lies_on(mount, disk)) continue;
    base::format_to(out, "  on it: {} ({})\n", mount.point, mount.file_system->kind());
    any = true;
  }
  if (!any) out.write("  nothing on it is mounted\n");
}

// Asks for the disk's name. Any other answer changes nothing.
Result<void> need_consent(std::string_view name) {
  History none;
  LineEditor editor(io(), none);
  constexpr const char* kUnchanged = "nothing was changed";
  Result<std::string_view> typed =
      read_line(io(), editor, "Everything on this disk will be lost. Its name, to go on: ");
  if (!typed.has_value() || base::trim(*typed) != name) return fail(Errc::kCancelled, kUnchanged);
  return {};
}

Result<void> run_format(const Arguments& arguments, base::Writer& out) {
  if (arguments.words.size() < 2 || arguments.words.size() > 3)
    return fail(Errc::kInvalidArgument, "format DISK [LABEL]");
  std::string_view name = arguments.words[1];
  std::string_view label = arguments.words.size() > 2 ? arguments.words[2] : "";
  BlockDevice* disk = devices::find_block(name);
  if (disk == nullptr) return fail(Errc::kNotFound, "no such disk: lsblk lists them");
  BlockGeometry geometry = disk->geometry();
  if (geometry.blocks == 0) return fail(Errc::kNotFound, "the disk is gone");
  if (geometry.read_only) return fail(Errc::kPermission, "the disk is read-only: use another disk");
  show_disk(*disk, out);
  TRY(need_consent(name));
  TRY(fs::release_disk(*disk));
  u32 serial = 0;
  crypto::random_fill(std::span(reinterpret_cast<Byte*>(&serial), sizeof serial));
  fs::DiskMedium medium(*disk);
  Result<void> formatted = fs::format_exfat(
      medium, {.sector_bytes = geometry.block_bytes, .serial = serial, .label = label});
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
    complete_disk};
CONSOLE_COMMAND(kFormat);

}  // namespace
}  // namespace console
