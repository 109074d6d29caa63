// SPDX-License-Identifier: GPL-2.0-or-later
// Writes FAT32 directories: adds and erases entries with long names, makes directories.
#include "kernel/base/format.h"
#include "kernel/fs/fat_each.h"

namespace fs {
namespace {

constexpr u16 kDate = 1 << 5 | 1;  // 1 January 1980: FAT dates are not kept here

bool short_character(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

char upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

// Copies the characters that a short name may contain, in upper case, and returns how many.
usize take_short(std::string_view from, Byte* to, usize most) {
  usize n = 0;
  for (char c : from)
    if (n < most && short_character(upper(c))) to[n++] = static_cast<Byte>(upper(c));
  return n;
}

void make_long_slot(std::span<const u16> units, u32 ordinal, bool last, u8 checksum, Byte* slot) {
  std::memset(slot, 0, kFatSlotBytes);
  slot[0] = static_cast<Byte>(ordinal | (last ? 0x40 : 0));
  slot[11] = kFatLong;
  slot[13] = checksum;
  for (usize i = 0; i < kFatLongUnits; i++) {
    usize index = (ordinal - 1) * kFatLongUnits + i;
    // Section 7: one 0 ends the name, and 0xffff fills the rest.
    u16 unit = index < units.size() ? units[index] : index == units.size() ? 0 : 0xffff;
    base::store<u16>(slot + kFatUnitAt[i], unit);
  }
}

void make_short_slot(const Byte* alias, u8 attributes, u32 cluster, Byte* slot) {
  std::memset(slot, 0, kFatSlotBytes);
  std::memcpy(slot, alias, 11);
  slot[11] = attributes;
  base::store<u16>(slot + 16, kDate);
  base::store<u16>(slot + 18, kDate);
  base::store<u16>(slot + 20, static_cast<u16>(cluster >> 16));
  base::store<u16>(slot + 24, kDate);
  base::store<u16>(slot + 26, static_cast<u16>(cluster));
}

}  // namespace

Result<void> Fat::write_slot(const Directory& directory, u64 slot, std::span<const Byte> bytes) {
  for (const Run& run : directory.runs.view())
    if (slot >= run.at && slot < run.at + run.bytes)
      return medium_.write(run.offset + (slot - run.at), bytes);
  return fail(Errc::kCorrupt, "the directory is shorter than its entries");
}

Result<void> Fat::extend(Directory& directory) {
  if (directory.bytes + layout_.cluster_bytes > kMostDirectoryBytes)
    return fail(Errc::kFull, "the directory is full: delete files or use another one");
  const Run& last = directory.runs.view().back();
  u64 end = last.offset + last.bytes - layout_.data_at;
  Extent e = TRY(allocate(static_cast<u32>(end / layout_.cluster_bytes) + 1, 1));
  TRY(zero_cluster(e.first));
  TRY(directory.runs.add({directory.bytes, cluster_at(e.first), layout_.cluster_bytes}));
  directory.bytes += layout_.cluster_bytes;
  return {};
}

// Finds `slots` free slots in a row. The directory grows if there are none.
Result<u64> Fat::find_room(Directory& directory, u32 slots) {
  u32 free = 0;
  bool ended = false;  // after the end mark every slot is free, whatever it contains
  for (u64 at = 0;; at += kFatSlotBytes) {
    if (at == directory.bytes) TRY(extend(directory));
    Byte first[1];
    TRY(directory.runs.read(medium_, at, first));
    ended = ended || first[0] == 0;
    free = ended || first[0] == kFatDeleted ? free + 1 : 0;
    if (free < slots) continue;
    u64 following = at + kFatSlotBytes;
    const Byte mark[1] = {0};
    if (ended && following < directory.bytes) TRY(write_slot(directory, following, mark));
    return following - u64{slots} * kFatSlotBytes;
  }
}

Result<bool> Fat::alias_taken(const Directory& directory, const Byte* alias) {
  bool taken = false;
  TRY(each(directory, [&](FatEntry& e) {
    taken = taken || std::memcmp(e.alias, alias, 11) == 0;
    return !taken;
  }));
  return taken;
}

// Chooses "NAME~1.EXT". If other files have the first nine numbers, the base is a hash of the name.
Result<void> Fat::choose_alias(const Directory& directory, std::string_view name, Byte* alias) {
  usize dot = name.rfind('.');
  bool extension = dot != std::string_view::npos && dot > 0;
  u32 hash = 2166136261u;
  for (char c : name) hash = (hash ^ static_cast<u8>(c)) * 16777619u;
  for (u32 attempt = 1; attempt < 0x10000; attempt++) {
    std::memset(alias, ' ', 11);
    Byte basis[8] = {};
    usize n = take_short(extension ? name.substr(0, dot) : name, basis, attempt < 10 ? 6 : 2);
    std::memcpy(alias, basis, n);
    if (extension) take_short(name.substr(dot + 1), alias + 8, 3);
    char tail[12];
    std::string_view text = attempt < 10
                                ? base::format_into(tail, "~{}", attempt)
                                : base::format_into(tail, "{:04x}~1", (hash + attempt) & 0xffff);
    for (char c : text) alias[n++] = static_cast<Byte>(upper(c));
    if (!TRY(alias_taken(directory, alias))) return {};
  }
  return fail(Errc::kFull, "no short name is left for this file");
}

Result<FatEntry> Fat::add_entry(Directory& directory, std::string_view name, u8 attributes,
                                u32 first_cluster) {
  u16 buffer[kMostNameUnits];
  auto units = std::span<const u16>(buffer).first(TRY(name_units(name, buffer)));
  FatEntry entry;
  entry.name = TRY(String::from(name));
  entry.attributes = attributes;
  entry.first_cluster = first_cluster;
  TRY(choose_alias(directory, name, entry.alias));
  u32 longs = static_cast<u32>((units.size() + kFatLongUnits - 1) / kFatLongUnits);
  u64 at = TRY(find_room(directory, longs + 1));
  entry.first_slot = at;
  u8 checksum = fat_short_checksum(entry.alias);
  Byte slot[kFatSlotBytes];
  for (u32 ordinal = longs; ordinal > 0; ordinal--, at += kFatSlotBytes) {
    make_long_slot(units, ordinal, ordinal == longs, checksum, slot);
    TRY(write_slot(directory, at, slot));
  }
  entry.short_slot = at;
  make_short_slot(entry.alias, attributes, first_cluster, slot);
  TRY(write_slot(directory, at, slot));
  return entry;
}

Result<void> Fat::erase_entry(const Directory& directory, const FatEntry& entry) {
  const Byte mark[1] = {kFatDeleted};
  for (u64 at = entry.first_slot; at <= entry.short_slot; at += kFatSlotBytes)
    TRY(write_slot(directory, at, mark));
  return {};
}

Result<base::Owner<File>> Fat::create(std::string_view path) {
  TRY(need_writable());
  PathSplit where = split_path(path);
  Result<FatEntry> existing = [&]() -> Result<FatEntry> {
    Directory parent = TRY(walk_directory(where.parent));
    return find(parent, where.name);
  }();
  if (existing.has_value()) {
    auto file = TRY(open(path));
    TRY(file->truncate(0));
    return file;
  }
  if (existing.error().code != Errc::kNotFound) return std::unexpected(existing.error());
  TurnGuard guard(turn_);
  Directory parent = TRY(walk_directory(where.parent));
  FatEntry entry = TRY(add_entry(parent, where.name, 0x20, 0));
  TRY(store_info());
  return open_entry(parent, entry);
}

Result<void> Fat::remove(std::string_view path) {
  TRY(need_writable());
  TurnGuard guard(turn_);
  PathSplit where = split_path(path);
  Directory parent = TRY(walk_directory(where.parent));
  FatEntry entry = TRY(find(parent, where.name));
  if (entry.directory()) {
    Directory inside = TRY(directory_of(entry));
    bool empty = true;
    TRY(each(inside, [&](FatEntry&) { return empty = false; }));
    if (!empty) return fail(Errc::kBusy, "the directory is not empty");
  }
  TRY(erase_entry(parent, entry));
  if (entry.first_cluster != 0) TRY(free_chain(entry.first_cluster));
  return store_info();
}

Result<void> Fat::make_directory(std::string_view path) {
  TRY(need_writable());
  TurnGuard guard(turn_);
  PathSplit where = split_path(path);
  Directory parent = TRY(walk_directory(where.parent));
  Result<FatEntry> existing = find(parent, where.name);
  if (existing.has_value())
    return fail(Errc::kBusy, "a file or directory of this name exists already");
  u16 units[kMostNameUnits];
  TRY(name_units(where.name, units));
  Extent e = TRY(allocate(0, 1));
  TRY(zero_cluster(e.first));
  Byte slot[kFatSlotBytes];
  Byte dots[12] = ".          ";
  make_short_slot(dots, kFatDirectory, e.first, slot);
  TRY(medium_.write(cluster_at(e.first), slot));
  dots[1] = '.';
  // Section 6.5: 0 stands for the root in "..".
  u32 up = parent.first_cluster == layout_.root_cluster ? 0 : parent.first_cluster;
  make_short_slot(dots, kFatDirectory, up, slot);
  TRY(medium_.write(cluster_at(e.first) + kFatSlotBytes, slot));
  Result<FatEntry> added = add_entry(parent, where.name, kFatDirectory, e.first);
  if (!added.has_value()) {
    TRY(free_chain(e.first));
    return std::unexpected(added.error());
  }
  return store_info();
}

}  // namespace fs
