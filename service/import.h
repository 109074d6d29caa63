// SPDX-License-Identifier: GPL-2.0-or-later
// Copies models from any disk, or from the boot medium, to a disk that stays, and removes them from
// there. For threads of CPU 0; waits for disks.
#pragma once

#include "service/model_store.h"
#include "service/progress_sink.h"

namespace service {

struct ImportOrder {
  std::string_view root = "";        // the mount point or folder that gets models/NAME/GENERATION
  std::string_view name = "";        // "" = the source's; only for a model outside of bundles
  ProgressSink* copying = nullptr;   // follows the copy
  ProgressSink* checking = nullptr;  // follows the reading back of what was written
  bool of_image = false;  // the source lies on the boot medium, whose manifest knows its hash
};

struct Imported {
  String folder;
  bool present = false;  // it was there already, and nothing was copied
};

// A bundle is copied as it is if its signatures are good enough for verify=; another model becomes
// a bundle without a signature. What was written is read back and compared by its hash. Stopping it
// removes what was copied; what a power cut leaves is used by the next import of the same model.
Result<Imported> import_model(const ModelFile& source, const ImportOrder& order);

// Returns the mount point that a model of this size is copied to when nobody names one: a disk that
// can be written and stays in the machine if there is one, and not the disk that has `source`.
Result<String> choose_disk(u64 bytes, std::string_view source = "");

// Returns the folder that a person's word for a disk means. A disk is named as `mount` shows it,
// with or without "/disk/"; in the twin it may be a folder.
Result<String> place_of(std::string_view typed);

}  // namespace service
