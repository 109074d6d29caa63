// SPDX-License-Identifier: GPL-2.0-or-later
// Lists of hashes, as `sha256sum -c` reads them, that any system can check an installed disk's
// volumes with. For threads of CPU 0; waits for disks.
#pragma once

#include "service/install/source.h"

namespace service {

// In the root of both volumes.
constexpr std::string_view kSumsFile = "SHA256SUMS";

// Reads a whole file.
Result<crypto::Sha256Digest> digest_of(std::string_view path);
// Adds a line to a list.
Result<void> add_sum(String& list, const crypto::Sha256Digest& digest, std::string_view path);

// Returns the list of the boot volume: its files that neither an update nor a start changes.
Result<String> boot_sums(const InstallSource& source);

// Collects the models that were copied to one data volume.
class ModelSums {
 public:
  // `data` is the volume's mount point, and outlives this.
  explicit ModelSums(std::string_view data) : data_(data) {}
  // Adds what install_model() has returned for a model. The hash of a bundle's file is that of its
  // manifest, since the copy was compared with it; other files are read.
  Result<void> add(const ModelFile& model, std::string_view installed);
  // Writes the list to the volume. Without models there is none.
  Result<void> write();

 private:
  Result<void> add_bundle(std::string_view folder);
  Result<void> add_read(std::string_view path);
  Result<void> add_line(const crypto::Sha256Digest& digest, std::string_view path);

  std::string_view data_;
  String text_;
};

}  // namespace service
