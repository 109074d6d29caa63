// SPDX-License-Identifier: GPL-2.0-or-later
// Makes a disk one that Marrow starts from, by BIOS and UEFI: partitions, boot loader, kernel and
// configuration, and then the image's models. For threads of CPU 0; waits for disks.
//
// The order keeps a power cut harmless: the old tables are erased first, the new files are written
// and read back, and the partition table and the boot sector come last. Until then the firmware
// finds nothing to start on the disk and goes on to its next device.
#pragma once

#include "service/install/layout.h"
#include "service/install/source.h"
#include "service/progress_sink.h"

namespace service {

// The state of a disk when its installation has ended or was stopped.
enum class DiskState : u8 {
  kUntouched,
  kErased,  // no partitions: it does not boot, and what it held is lost
  kBoots,   // the kernel and its files are there; models may be missing
  kComplete,
};

// Returns why the disk cannot be installed to: it is gone, read-only, too small, in use, or the one
// that Marrow was started from.
Result<void> need_install_target(const InstallSource& source, BlockDevice& disk);
DiskNeeds needs_of(const InstallSource& source);

struct InstallWatch {
  ProgressSink& copying;   // follows what is read and written
  ProgressSink& checking;  // follows the reading back of models
};

// Erases the disk and makes it one that boots. `state` says how far that came. The disk's volumes
// are mounted at the end, also after an error.
Result<void> install_boot(const InstallSource& source, BlockDevice& disk, const DiskIds& ids,
                          const InstallWatch& watch, DiskState& state);

// Returns the mount point of an installed disk's data volume.
Result<String> data_point(const BlockDevice& disk);

// Copies one model of the image to such a volume. Returns its folder there.
Result<String> install_model(const ModelFile& model, std::string_view data,
                             const InstallWatch& watch);

}  // namespace service
