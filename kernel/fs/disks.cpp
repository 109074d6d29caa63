// SPDX-License-Identifier: GPL-2.0-or-later
// Finding file systems on disks and mounting them.
#include "kernel/fs/disks.h"

#include "kernel/dev/registry.h"
#include "kernel/fs/exfat.h"
#include "kernel/fs/ext4.h"
#include "kernel/fs/fat.h"
#include "kernel/fs/iso9660.h"
#include "kernel/fs/partition.h"
#include "kernel/log.h"
#include "kernel/time/clock.h"

namespace fs {
namespace {

struct Disks {
  usize handled = 0;
  bool working = false;
  bool watching = false;
};
constinit Disks disks;

template <class System>
Result<FileSystem*> open_as(Medium& medium) {
  base::Owner<System> system = TRY(System::mount(medium));
  return static_cast<FileSystem*>(system.release());
}

// In this order: an ISO for USB sticks also looks like a partitioned disk, and what once was FAT
// may still have its boot sector under an ext4.
using Opener = Result<FileSystem*> (*)(Medium& medium);
constexpr Opener kOpeners[] = {open_as<Ext4>, open_as<Exfat>, open_as<Fat>, open_as<Iso9660>};

// Names and media of mounts live for ever, like the disks themselves.
Result<void> mount_volume(std::string_view name, u32 number, Medium& medium) {
  FileSystem* system = TRY(open_volume(medium));
  bool digit = name.back() >= '0' && name.back() <= '9';
  char text[64];
  std::string_view point = number == 0 ? base::format_into(text, "/disk/{}", name)
                           : digit     ? base::format_into(text, "/disk/{}p{}", name, number)
                                       : base::format_into(text, "/disk/{}{}", name, number);
  auto kept = TRY(base::make<String>(TRY(String::from(point))));
  TRY(mount(kept->view(), *system));
  log::info("fs", "{}: {}, {} MiB", point, system->kind(), medium.size() / kMiB);
  static_cast<void>(kept.release());
  return {};
}

Result<void> mount_disk(BlockDevice& device) {
  auto whole = TRY(base::make<DiskMedium>(device));
  DiskMedium& disk = *whole.release();
  Result<void> plain = mount_volume(device.name(), 0, disk);
  if (plain.has_value() || plain.error().code != Errc::kNotFound) return plain;
  PartitionTable table = TRY(read_partitions(disk, device.geometry().block_bytes));
  if (table.kind == TableKind::kGptBackup)
    log::warn("fs", "{}: the first partition table is broken, its backup is used", device.name());
  for (const Partition& p : table.partitions) {
    auto part = TRY(base::make<MediumPart>(disk, p.offset, p.bytes));
    Result<void> mounted = mount_volume(device.name(), p.number, *part.release());
    if (!mounted.has_value() && mounted.error().code != Errc::kNotFound)
      log::warn("fs", "{} partition {}: {}", device.name(), p.number, mounted.error());
  }
  return {};
}

void watch(void*) {
  for (;;) {
    mount_new_disks();
    devices::block_added().wait();
  }
}

}  // namespace

Result<FileSystem*> open_volume(Medium& medium) {
  for (Opener open : kOpeners) {
    Result<FileSystem*> system = open(medium);
    // Recognized but unreadable says more than "not found" of the next.
    if (system.has_value() || system.error().code != Errc::kNotFound) return system;
  }
  return fail(Errc::kNotFound, "no file system that can be read");
}

void mount_new_disks() {
  if (disks.working) return;
  disks.working = true;
  while (disks.handled < devices::blocks().size()) {
    BlockDevice& device = *devices::blocks()[disks.handled++];
    Result<void> mounted = mount_disk(device);
    if (!mounted.has_value()) log::warn("fs", "{}: {}", device.name(), mounted.error());
  }
  disks.working = false;
}

Result<void> watch_disks() {
  TRY(sched::spawn("disks", watch, nullptr));
  disks.watching = true;
  return {};
}

void wait_for_disks(u64 deadline_ns) {
  auto busy = [] {
    return devices::searching() || disks.working || disks.handled < devices::blocks().size();
  };
  constexpr u64 kLookNs = 10'000'000;
  while (disks.watching && busy() && timing::now_ns() < deadline_ns) sched::sleep_ns(kLookNs);
}

}  // namespace fs
