// SPDX-License-Identifier: GPL-2.0-or-later
// Finds file systems on disks and mounts them.
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

// A disk or partition that is mounted, or could not be.
struct Volume {
  BlockDevice* device;
  std::string_view point;
};
constinit StaticVector<Volume, 64> volumes;
constinit StaticVector<Unmounted, 64> failures;

bool gone(BlockDevice& device) {
  return device.geometry().blocks == 0;
}

template <class System>
Result<FileSystem*> open_as(Medium& medium) {
  base::Owner<System> system = TRY(System::mount(medium));
  return static_cast<FileSystem*>(system.release());
}

// Formats in the order in which they are tried: an ISO for USB sticks also looks like a partitioned
// disk, and a former FAT volume may still have its boot sector below an ext4.
using Opener = Result<FileSystem*> (*)(Medium& medium);
constexpr Opener kOpeners[] = {open_as<Ext4>, open_as<Exfat>, open_as<Fat>, open_as<Iso9660>};

// The names and media of mounts are never freed, like the disks themselves.
Result<std::string_view> point_of(std::string_view name, u32 number) {
  bool digit = name.back() >= '0' && name.back() <= '9';
  char text[64];
  std::string_view point = number == 0 ? base::format_into(text, "/disk/{}", name)
                           : digit     ? base::format_into(text, "/disk/{}p{}", name, number)
                                       : base::format_into(text, "/disk/{}{}", name, number);
  auto kept = TRY(base::make<String>(TRY(String::from(point))));
  return kept.release()->view();
}

// Keeps what cannot be mounted, with the reason. If there are too many, only the log has the rest.
void note_failure(std::string_view point, const Error& reason) {
  for (Unmounted& old : failures) {
    if (old.point != point) continue;
    old.reason = reason;
    return;
  }
  static_cast<void>(failures.push_back({point, reason}));
}
void forget_failure(std::string_view point) {
  for (usize i = 0; i < failures.size(); i++) {
    if (failures[i].point != point) continue;
    failures[i] = failures[failures.size() - 1];
    failures.truncate(failures.size() - 1);
    return;
  }
}

Result<void> mount_volume(BlockDevice& device, std::string_view point, Medium& medium) {
  FileSystem* system = TRY(open_volume(medium));
  Home home = device.geometry().fixed ? Home::kFixedDisk : Home::kElsewhere;
  TRY(mount(point, *system, home));
  forget_failure(point);
  if (!volumes.push_back({&device, point}))
    log::warn("fs", "{}: stays mounted when its disk goes: too many volumes", point);
  log::info("fs", "{}: {}, {} MiB", point, system->kind(), medium.size() / kMiB);
  return {};
}

Result<void> mount_partition(BlockDevice& device, DiskMedium& disk, const Partition& p) {
  std::string_view point = TRY(point_of(device.name(), p.number));
  auto part = TRY(base::make<MediumPart>(disk, p.offset, p.bytes));
  Result<void> mounted = mount_volume(device, point, *part.release());
  if (!mounted.has_value()) note_failure(point, mounted.error());
  return mounted;
}

// Unmounts the volumes of disks that are gone, so that a disk that is inserted again may have the
// name.
void forget_gone_disks() {
  for (usize i = 0; i < volumes.size();) {
    if (!gone(*volumes[i].device)) {
      i++;
      continue;
    }
    unmount(volumes[i].point);
    note_failure(volumes[i].point, {Errc::kIo, "the device is gone"});
    log::info("fs", "{}: unmounted, its disk is gone", volumes[i].point);
    volumes[i] = volumes[volumes.size() - 1];
    volumes.truncate(volumes.size() - 1);
  }
}

Result<void> mount_disk(BlockDevice& device) {
  auto whole = TRY(base::make<DiskMedium>(device));
  DiskMedium& disk = *whole.release();
  std::string_view point = TRY(point_of(device.name(), 0));
  Result<void> plain = mount_volume(device, point, disk);
  if (plain.has_value()) return plain;
  if (plain.error().code != Errc::kNotFound) {
    note_failure(point, plain.error());
    return plain;
  }
  Result<PartitionTable> found = read_partitions(disk, device.geometry().block_bytes);
  if (!found.has_value()) note_failure(point, found.error());
  PartitionTable table = TRY(std::move(found));
  if (table.partitions.empty()) note_failure(point, plain.error());
  if (table.kind == TableKind::kGptBackup)
    log::warn("fs", "{}: the first partition table is broken, its backup is used", device.name());
  for (const Partition& p : table.partitions) {
    Result<void> mounted = mount_partition(device, disk, p);
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
    // "Recognized but unreadable" is more useful than "not found" from the next format.
    if (system.has_value() || system.error().code != Errc::kNotFound) return system;
  }
  return fail(Errc::kNotFound, "no file system that can be read");
}

void mount_new_disks() {
  if (disks.working) return;
  disks.working = true;
  forget_gone_disks();
  while (disks.handled < devices::blocks().size()) {
    BlockDevice& device = *devices::blocks()[disks.handled++];
    Result<void> mounted = mount_disk(device);
    if (!mounted.has_value())
      log::warn("fs", "{}: not mounted: {}", device.name(), mounted.error());
  }
  disks.working = false;
}

bool lies_on(const Mount& mount, const BlockDevice& device) {
  for (const Volume& volume : volumes)
    if (volume.device == &device && volume.point == mount.point) return true;
  return false;
}

Result<void> need_idle_disk(const BlockDevice& device) {
  if (disks.working) return fail(Errc::kBusy, "disks are being mounted: try again");
  for (const Mount& mount : mounts())
    if (lies_on(mount, device) && open_files(*mount.file_system) > 0)
      return fail(Errc::kBusy, "a file on this disk is open: unload its model, or wait");
  return {};
}

Result<void> release_disk(const BlockDevice& device) {
  TRY(need_idle_disk(device));
  for (usize i = 0; i < volumes.size();) {
    if (volumes[i].device != &device) {
      i++;
      continue;
    }
    unmount(volumes[i].point);
    volumes[i] = volumes[volumes.size() - 1];
    volumes.truncate(volumes.size() - 1);
  }
  return {};
}

Result<void> mount_again(BlockDevice& device) {
  disks.working = true;
  Result<void> mounted = mount_disk(device);
  disks.working = false;
  return mounted;
}

std::span<const Unmounted> unmounted() {
  return failures.view();
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
  if (!disks.working) forget_gone_disks();
}

}  // namespace fs
