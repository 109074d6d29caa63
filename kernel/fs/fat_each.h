// SPDX-License-Identifier: GPL-2.0-or-later
// The walk over a FAT directory's entries, shared by the reading and writing parts of Fat.
#pragma once

#include "kernel/fs/fat_slots.h"

namespace fs {

// Calls visit(FatEntry&) for every file and directory except "." and ".."; false ends the walk.
template <class Visit>
Result<void> Fat::each(const Directory& directory, Visit visit) {
  FatNameReader names;
  Byte slots[512];
  u64 begin = 0;  // offset of the entry's first slot
  for (u64 at = 0; at < directory.bytes; at += sizeof slots) {
    TRY(directory.runs.read(medium_, at, slots));
    for (usize i = 0; i < sizeof slots; i += kFatSlotBytes) {
      const Byte* slot = slots + i;
      if (slot[0] == 0) return {};
      bool long_name = (slot[11] & 0x3f) == kFatLong;
      if (slot[0] == kFatDeleted || (!long_name && (slot[11] & kFatVolume) != 0)) {
        names.reset();
        continue;
      }
      if (long_name) {
        if ((slot[0] & 0x40) != 0) begin = at + i;
        names.on_long(slot);
        continue;
      }
      FatEntry entry;
      entry.name = TRY(names.finish(slot));
      entry.short_slot = at + i;
      std::memcpy(entry.alias, slot, sizeof entry.alias);
      entry.first_slot = names.slots() > 0 ? begin : at + i;
      names.reset();
      entry.attributes = slot[11];
      u32 high = layout_.bits == 32 ? base::load<u16>(slot + 20) & 0x0fffu : 0;
      entry.first_cluster = high << 16 | base::load<u16>(slot + 26);
      entry.size = base::load<u32>(slot + 28);
      if (entry.name.view() == "." || entry.name.view() == ".." || entry.name.empty()) continue;
      if (!visit(entry)) return {};
    }
  }
  return {};
}

}  // namespace fs
