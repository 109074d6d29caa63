// SPDX-License-Identifier: GPL-2.0-or-later
// The files that an installation copies: the list in the image's manifest, and the medium that
// Marrow was started from. For threads of CPU 0; find_install_source() waits for disks.
#pragma once

#include "kernel/crypto/sha256.h"
#include "kernel/dev/block_device.h"
#include "kernel/fs/file_system.h"
#include "service/model_store.h"

namespace service {

// A file of the image and its place on the installed disk.
struct InstallFile {
  String from;  // path on the medium
  // Path on the boot partition, or one of the two names below.
  String to;
  u64 bytes = 0;
  crypto::Sha256Digest sha256{};
};
constexpr std::string_view kToBootSector = "boot sector";  // GRUB's boot.img
constexpr std::string_view kToBiosBoot = "bios boot";      // GRUB's core image
inline bool is_boot_code(const InstallFile& file) {
  return file.to.view() == kToBootSector || file.to.view() == kToBiosBoot;
}

// Reads the list "install" of a manifest (scripts/make_manifest.py). A path consists of letters,
// digits and ". _ -", no two files have one place, and both parts of the boot loader are there.
// Returns kNotFound if there is no such list.
Result<Vector<InstallFile>> read_install_list(std::string_view manifest);

// Returns the date of the image in seconds since 1970; 0 if its manifest has none.
Result<u64> read_image_date(std::string_view manifest);

struct InstallSource {
  String point;     // where the medium is mounted; "" = the files are boot modules
  String manifest;  // as the loader has put it into memory
  Vector<InstallFile> files;
  Vector<ModelFile> models;  // of the image
  u64 date = 0;              // of the image, in seconds since 1970; 0 = not known
  u64 boot_bytes = 0, model_bytes = 0;
  u64 slot_bytes = 0;  // of each file that an update can write (service/update/slots.h)

  // Returns the path where a file can be read now.
  Result<String> path_of(const InstallFile& file) const;
  void drop_models() { models.clear(), model_bytes = 0; }
};

// Finds the medium by its id, which the loader has put into memory, otherwise the boot modules.
// Checks that each file is there with the size of the manifest, and logs those that are not.
Result<InstallSource> find_install_source();
// Does the same for a medium that is mounted at `point`, whether Marrow was started from it or not.
Result<InstallSource> install_source_at(std::string_view point);

// Returns where the medium that Marrow was started from is mounted, or "".
Result<String> find_boot_medium();

// The id of the medium that Marrow was started from, as the loader has put it into memory; "" if it
// has none.
Result<String> boot_medium_id();
// On the medium.
constexpr std::string_view kMediumIdFile = "boot/medium.id", kManifestFile = "boot/manifest.json";

// Returns true if a volume of the disk has that id: Marrow was started from it or from its copy.
Result<bool> is_boot_disk(const BlockDevice& disk);

}  // namespace service
