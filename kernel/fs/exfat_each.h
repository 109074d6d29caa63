// SPDX-License-Identifier: GPL-2.0-or-later
// The walk over the slots of an exFAT directory, shared by the parts of Exfat.
#pragma once

#include "kernel/fs/exfat.h"
#include "kernel/log.h"

namespace fs {

// Calls visit(offset, slot) for every slot up to the end mark, which it gets too, or to the end of
// the directory. It returns a Result<bool>; false ends the walk.
template <class Visit>
Result<void> Exfat::scan(const ExfatChain& folder, Visit visit) {
  if (folder.bytes > kExfatMostDirectory)
    return fail(Errc::kCorrupt, "a directory larger than exFAT allows");
  RunList where = TRY(runs(folder));
  Byte slots[512];
  for (u64 at = 0; at < folder.bytes; at += sizeof slots) {
    usize part = static_cast<usize>(std::min<u64>(sizeof slots, folder.bytes - at));
    TRY(where.read(medium_, at, std::span(slots).first(part)));
    for (usize i = 0; i + kExfatSlotBytes <= part; i += kExfatSlotBytes) {
      if (!TRY(visit(at + i, static_cast<const Byte*>(slots + i))) || slots[i] == 0) return {};
    }
  }
  return {};
}

// Calls visit(ExfatEntry&) for every file and directory; false ends the walk. Leaves out entry sets
// with a wrong checksum, and logs their number.
template <class Visit>
Result<void> Exfat::each(const ExfatEntry& directory, Visit visit) {
  if (!directory.directory) return fail(Errc::kNotFound, "this is not a directory");
  ExfatSetReader set;
  u32 damaged = 0;
  TRY(scan(directory.data, [&](u64 at, const Byte* slot) -> Result<bool> {
    auto state = set.take(slot);
    if (state == ExfatSetReader::State::kDamaged) damaged++;
    if (state != ExfatSetReader::State::kComplete) return true;
    ExfatEntry entry = TRY(set.finish());
    entry.folder = directory.data;
    entry.slot = at + kExfatSlotBytes - u64{entry.slots} * kExfatSlotBytes;
    if (printable_name(entry.name.view())) return visit(entry);
    damaged++;
    return true;
  }));
  if (damaged > 0) log::warn("exfat", "{} damaged entries of a directory are left out", damaged);
  return {};
}

}  // namespace fs
