// SPDX-License-Identifier: GPL-2.0-or-later
// Removes models from the disks that can be written. For threads of CPU 0; waits for disks.
#pragma once

#include "service/model_store.h"

namespace service {

struct Removal {
  std::string_view name;
  u64 generation = 0;           // 0 = all
  std::string_view place = "";  // a path below which it looks; "" = all disks
};

struct Removed {
  enum class Was : u8 { kComplete, kIncomplete, kOnlyRead } was = Was::kComplete;  // the last stays
  String path;  // of its folder, or of a file outside of bundles
  u64 bytes = 0;
};

// Removes a model's generations, what an interrupted copy has left of it, and files of its name.
// Returns what it found. kBusy: it is loaded or just being copied, and nothing was removed.
// kPermission: all of it is on disks that are only read. kNotFound: no disk has it.
Result<Vector<Removed>> remove_models(const Removal& removal);

}  // namespace service
