// SPDX-License-Identifier: GPL-2.0-or-later
// Writes exFAT directories: finds room for entry sets, stores and removes them.
#include "kernel/fs/exfat_each.h"
#include "kernel/fs/exfat_file.h"

namespace fs {
namespace {

constexpr u32 kEndOfChain = 0xffffffff;
constexpr Byte kUnusedFile = 0x05;  // the type of a file's slot without the bit "in use"
// A set of more slots would not fit into a sector of 512 bytes, and a power cut could tear it.
constexpr u32 kMostSlots = 512 / kExfatSlotBytes;

}  // namespace

Result<ExfatSet> Exfat::load_set(const ExfatEntry& entry) {
  ExfatSet set;
  if (!set.set_slots(entry.slots)) return fail(Errc::kCorrupt, "an entry set of an odd size");
  RunList where = TRY(runs(entry.folder));
  TRY(where.read(medium_, entry.slot, set.bytes()));
  return set;
}

Result<void> Exfat::store_set(const ExfatEntry& entry, ExfatSet& set) {
  RunList where = TRY(runs(entry.folder));
  return where.write(medium_, entry.slot, set.bytes());
}

// Changes what a set says about its clusters. The set must be there; the caller flushes before and
// after.
Result<void> Exfat::update(ExfatEntry& entry, const ExfatChain& where, u64 valid) {
  ExfatSet set = TRY(load_set(entry));
  set.set_data(where, valid);
  set.touch();
  set.seal();
  TRY(store_set(entry, set));
  entry.data = where;
  entry.valid = valid;
  return {};
}

// Adds a file or directory whose clusters are on the disk already. Returns it with its place.
Result<ExfatEntry> Exfat::add(ExfatEntry parent, ExfatEntry entry) {
  u16 buffer[kMostNameUnits];
  usize count = TRY(name_units(entry.name.view(), buffer));
  auto units = std::span<const u16>(buffer).first(count);
  u32 slots = ExfatSet::slots_for(count);
  if (slots > kMostSlots)
    return fail(Errc::kInvalidArgument, "the file name is too long: choose a shorter one");
  u64 slot = TRY(find_room(parent, slots));
  ExfatSet set(entry.directory, units, name_hash(units));
  set.set_data(entry.data, entry.valid);
  set.seal();
  entry.folder = parent.data;
  entry.slot = slot;
  entry.slots = slots;
  TRY(store_set(entry, set));
  return entry;
}

// Finds a place for a set that does not cross a sector. The directory grows if it has none.
Result<u64> Exfat::find_room(ExfatEntry& directory, u32 slots) {
  u64 sector = layout_.sector_bytes, bytes = u64{slots} * kExfatSlotBytes;
  u64 start = 0, mark = directory.data.bytes;  // of unused slots in a row; the end mark
  bool found = false;
  TRY(scan(directory.data, [&](u64 at, const Byte* slot) -> Result<bool> {
    if (slot[0] == 0) mark = at;
    if (slot[0] == 0) return false;
    if ((slot[0] & kExfatInUse) != 0 || at % sector == 0) start = at;
    if ((slot[0] & kExfatInUse) != 0) start += kExfatSlotBytes;
    found = at + kExfatSlotBytes - start == bytes && start <= at;
    return !found;
  }));
  if (found) return start;
  if (mark % sector == 0) start = mark;
  if (start % sector + bytes > sector) start = base::round_up(mark, sector);
  if (start + bytes > directory.data.bytes) TRY(grow(directory));
  TRY(clear_room(directory, mark, start, bytes));
  return start;
}

// Moves the end mark behind a set of `bytes` bytes that is about to be written at `room`: what
// lies there becomes visible, so it must be zeros (section 7: after the mark there may be nothing).
Result<void> Exfat::clear_room(const ExfatEntry& directory, u64 mark, u64 room, u64 bytes) {
  RunList where = TRY(runs(directory.data));
  u64 sector = layout_.sector_bytes;
  u64 end = std::min(base::round_up(room + bytes, sector) + kExfatSlotBytes, directory.data.bytes);
  Vector<Byte> rest;
  TRY(rest.resize(static_cast<usize>(end - std::max(mark, room))));
  TRY(where.read(medium_, std::max(mark, room), rest.view()));
  bool clean = std::all_of(rest.begin(), rest.end(), [](Byte b) { return b == 0; });
  if (!clean) {
    std::memset(rest.data(), 0, rest.size());
    TRY(where.write(medium_, std::max(mark, room), rest.view()));
    TRY(medium_.flush());
  }
  if (mark >= room) return {};
  Vector<Byte> unused;
  TRY(unused.resize(static_cast<usize>(room - mark)));
  for (usize at = 0; at < unused.size(); at += kExfatSlotBytes) unused[at] = kUnusedFile;
  TRY(where.write(medium_, mark, unused.view()));
  return medium_.flush();
}

// Adds a cluster of zeros to a directory. It is on the disk before the directory has it.
Result<void> Exfat::grow(ExfatEntry& directory) {
  ExfatChain grown = directory.data;
  grown.bytes += layout_.cluster_bytes;
  if (grown.bytes > kExfatMostDirectory)
    return fail(Errc::kFull, "the directory is full: delete files or use another one");
  RunList where = TRY(runs(directory.data));
  const Run& end = where.view().back();
  u32 last =
      static_cast<u32>((end.offset + end.bytes - 1 - layout_.heap_at) / layout_.cluster_bytes) + 2;
  ExfatExtent e = TRY(bitmap_.allocate(medium_, last, 1));
  TRY(zero(e.first));
  bool follows = grown.contiguous && e.first == last + 1;
  if (!follows) TRY(link(e, kEndOfChain));
  if (!follows && grown.contiguous) {
    auto count = static_cast<u32>(clusters_of(directory.data.bytes));
    TRY(link({grown.first, count}, e.first));
  }
  TRY(medium_.flush());
  if (!grown.contiguous) {
    TRY(link({last, 1}, e.first));
    TRY(medium_.flush());
  }
  grown.contiguous = follows;
  if (!directory.is_root()) {
    TRY(update(directory, grown, grown.bytes));
    return medium_.flush();
  }
  root_ = directory.data = grown;
  return {};
}

Result<void> Exfat::need_closed(const ExfatEntry& entry) const {
  for (const ExfatFile* file = open_; file != nullptr; file = file->next_) {
    if (file->listed() && file->entry_.folder.first == entry.folder.first &&
        file->entry_.slot == entry.slot)
      return fail(Errc::kBusy, "the file is in use: try again when it is closed");
  }
  return {};
}

// A file may be removed or replaced if nobody has it open and all of its clusters are known.
Result<void> Exfat::need_replaceable(const ExfatEntry& entry) const {
  if (entry.is_root()) return fail(Errc::kInvalidArgument, "this is the root directory");
  if (entry.foreign)
    return fail(Errc::kUnsupported,
                "the file has data of another system beside its own: change it there");
  return need_closed(entry);
}

Result<base::Owner<File>> Exfat::open(std::string_view path) {
  ExfatEntry found = TRY(walk(path));
  if (found.directory) return fail(Errc::kInvalidArgument, "this is a directory");
  if (found.data.bytes > u64{layout_.clusters} * layout_.cluster_bytes)
    return fail(Errc::kCorrupt, "a file larger than its volume");
  RunList valid = TRY(runs({found.data.first, found.data.contiguous, found.valid}));
  String copy = TRY(String::from(path));
  return base::Owner<File>(
      TRY(base::make<ExfatFile>(*this, std::move(found), std::move(copy), std::move(valid))));
}

Result<base::Owner<File>> Exfat::create(std::string_view path) {
  TRY(may_write());
  PathSplit where = split_path(path);
  u16 units[kMostNameUnits];
  if (ExfatSet::slots_for(TRY(name_units(where.name, units))) > kMostSlots)
    return fail(Errc::kInvalidArgument, "the file name is too long: choose a shorter one");
  ExfatEntry parent = TRY(walk(where.parent));
  Result<ExfatEntry> old = find(parent, where.name);
  if (!old.has_value() && old.error().code != Errc::kNotFound) return std::unexpected(old.error());
  if (old.has_value()) {
    if (old->directory) return fail(Errc::kInvalidArgument, "this is a directory");
    TRY(need_replaceable(*old));
  }
  String copy = TRY(String::from(path));
  return base::Owner<File>(
      TRY(base::make<ExfatFile>(*this, ExfatEntry{}, std::move(copy), RunList{})));
}

Result<void> Exfat::remove(std::string_view path) {
  TurnGuard guard(turn_);
  TRY(may_write());
  ExfatEntry entry = TRY(walk(path));
  TRY(need_replaceable(entry));
  if (entry.directory) {
    bool empty = true;
    TRY(each(entry, [&](ExfatEntry&) { return empty = false; }));
    if (!empty) return fail(Errc::kBusy, "the directory is not empty");
  }
  RunList clusters = TRY(runs(entry.data));
  TRY(begin());
  return finish([&]() -> Result<void> {
    ExfatSet set = TRY(load_set(entry));
    set.erase();
    TRY(store_set(entry, set));
    TRY(medium_.flush());
    return free_runs(clusters.view());
  }());
}

Result<void> Exfat::make_directory(std::string_view path) {
  TurnGuard guard(turn_);
  TRY(may_write());
  PathSplit where = split_path(path);
  u16 units[kMostNameUnits];
  TRY(name_units(where.name, units));
  ExfatEntry parent = TRY(walk(where.parent));
  Result<ExfatEntry> old = find(parent, where.name);
  if (old.has_value()) return fail(Errc::kBusy, "a file or directory of this name exists already");
  if (old.error().code != Errc::kNotFound) return std::unexpected(old.error());
  TRY(begin());
  return finish([&]() -> Result<void> {
    ExfatExtent e = TRY(bitmap_.allocate(medium_, 0, 1));
    ExfatEntry entry;
    entry.directory = true;
    entry.data = {e.first, true, layout_.cluster_bytes};
    entry.valid = entry.data.bytes;
    Result<void> added = [&]() -> Result<void> {
      entry.name = TRY(String::from(where.name));
      TRY(zero(e.first));
      TRY(medium_.flush());
      TRY(add(std::move(parent), std::move(entry)));
      return {};
    }();
    if (!added.has_value() && added.error().code != Errc::kIo) TRY(bitmap_.release(medium_, e));
    return added;
  }());
}

}  // namespace fs
