// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as a ISO 9660 volume: mounted, listed three levels deep, every file read at both ends.
#include "kernel/fs/iso9660.h"
#include "tests/fuzz/fs_walk.h"

extern "C" int LLVMFuzzerTestOneInput(const Byte* data, usize size) {
  fs::MemoryMedium medium(std::span<const Byte>(data, size));
  if (auto system = fs::Iso9660::mount(medium)) fuzz::walk(**system);
  return 0;
}
