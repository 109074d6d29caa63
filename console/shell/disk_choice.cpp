// SPDX-License-Identifier: GPL-2.0-or-later
// Shows disks and asks.
#include "console/shell/disk_choice.h"

#include "console/shell/shell.h"
#include "console/shell/units.h"
#include "kernel/base/text.h"
#include "kernel/dev/registry.h"
#include "kernel/fs/disks.h"
#include "kernel/fs/partition.h"

namespace console {
namespace {

const char* kind_of(fs::TableKind kind) {
  return kind == fs::TableKind::kMbr ? "an MBR" : "a GPT";
}

void show_volume(const fs::Mount& mount, base::Writer& out) {
  base::format_to(out, "  on it: {} ({}", mount.point, mount.file_system->kind());
  Result<fs::Space> space = mount.file_system->space();
  if (space.has_value() && mount.file_system->writable())
    base::format_to(out, ", {} MiB of files", mebibytes(space->total - space->free));
  out.write(")\n");
}

}  // namespace

Result<BlockDevice*> find_disk(std::string_view name) {
  BlockDevice* disk = devices::find_block(name);
  if (disk == nullptr) return fail(Errc::kNotFound, "no such disk: lsblk lists them");
  BlockGeometry geometry = disk->geometry();
  if (geometry.blocks == 0) return fail(Errc::kNotFound, "the disk is gone");
  if (geometry.read_only) return fail(Errc::kPermission, "the disk is read-only: use another disk");
  return disk;
}

void show_disk(BlockDevice& disk, base::Writer& out) {
  BlockGeometry g = disk.geometry();
  base::format_to(out, "{}: {} MiB, {}{}\n", disk.name(), mebibytes(g.blocks * g.block_bytes),
                  disk.driver(), g.fixed ? ", stays in the machine" : "");
  fs::DiskMedium medium(disk);
  Result<fs::PartitionTable> table = fs::read_partitions(medium, g.block_bytes);
  bool any = table.has_value() && !table->partitions.empty();
  if (any) {
    base::format_to(out, "  {} with partitions of", kind_of(table->kind));
    for (const fs::Partition& p : table->partitions)
      base::format_to(out, "{} {}", p.number == table->partitions[0].number ? "" : ",",
                      mebibytes(p.bytes));
    out.write(" MiB\n");
  }
  for (usize i = 0; i < fs::mounts().size(); i++) {
    fs::Mount mount = fs::mounts()[i];  // a copy: disks come and go while space() waits
    if (!fs::lies_on(mount, disk)) continue;
    show_volume(mount, out);
    any = true;
  }
  if (!any) out.write("  nothing on it is mounted, and it has no partitions\n");
}

Result<void> need_consent(std::string_view name) {
  History none;
  LineEditor editor(io(), none);
  constexpr const char* kUnchanged = "nothing was changed";
  Result<std::string_view> typed =
      read_line(io(), editor, "Everything on this disk will be lost. Its name, to go on: ");
  if (!typed.has_value() || base::trim(*typed) != name) return fail(Errc::kCancelled, kUnchanged);
  return {};
}

void complete_disk_name(std::string_view, void (*add)(void*, std::string_view), void* context) {
  for (BlockDevice* disk : devices::blocks()) add(context, disk->name());
}

}  // namespace console
