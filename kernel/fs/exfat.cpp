// SPDX-License-Identifier: GPL-2.0-or-later
// Implements exFAT: boot region, cluster chains, up-case table, allocation bitmap.
#include "kernel/fs/exfat.h"

#include <bit>

#include "kernel/log.h"

namespace fs {
namespace {

constexpr u32 kEndOfChain = 0xffffffff;
constexpr u64 kMostUpcaseBytes = 2 * 65536;
constexpr u8 kBitmap = 0x81, kUpcase = 0x82;
constexpr u64 kBackupSector = 12;
constexpr u32 kRegionSectors = 12;  // the last one holds the checksum

// Section 3.4: the checksum covers eleven sectors, without the fields that change while the volume
// is mounted.
Result<bool> region_intact(Medium& medium, u64 at, u32 sector_bytes) {
  Byte piece[512];
  u32 sum = 0;
  u32 bytes = (kRegionSectors - 1) * sector_bytes;
  for (u32 done = 0; done < bytes; done += sizeof piece) {
    TRY(medium.read(at + done, piece));
    for (u32 i = 0; i < sizeof piece; i++) {
      u32 index = done + i;
      if (index == 106 || index == 107 || index == 112) continue;
      sum = std::rotr(sum, 1) + static_cast<u8>(piece[i]);
    }
  }
  Byte wanted[4];
  TRY(medium.read(at + bytes, wanted));
  return base::load<u32>(wanted) == sum;
}

}  // namespace

Result<ExfatLayout> read_exfat_layout(Medium& medium, u64 sector, u32 sector_bytes) {
  u64 at = sector * sector_bytes;
  if (medium.size() < at + u64{kRegionSectors} * sector_bytes)
    return fail(Errc::kNotFound, "no exFAT boot sector");
  Byte s[512];
  TRY(medium.read(at, s));
  u32 sector_shift = s[108], cluster_shift = s[109], tables = s[110];
  bool ours = std::memcmp(s + 3, "EXFAT   ", 8) == 0 && base::load<u16>(s + 510) == 0xaa55;
  if (!ours) return fail(Errc::kNotFound, "no exFAT boot sector");
  if (sector_shift < 9 || sector_shift > 12 || cluster_shift > 25 - sector_shift ||
      1u << sector_shift != sector_bytes || s[105] != 1)
    return fail(Errc::kCorrupt, "an exFAT boot sector that contradicts itself");
  if (!TRY(region_intact(medium, at, sector_bytes)))
    return fail(Errc::kCorrupt, "the checksum of the exFAT boot region is wrong");
  ExfatLayout l;
  l.sector_bytes = sector_bytes;
  l.cluster_bytes = u64{1} << (sector_shift + cluster_shift);
  u64 sectors = base::load<u64>(s + 72);
  u64 table = base::load<u32>(s + 80), table_sectors = base::load<u32>(s + 84);
  u64 heap = base::load<u32>(s + 88);
  l.clusters = base::load<u32>(s + 92);
  l.tables = tables;
  l.backup = sector != 0;
  l.root = base::load<u32>(s + 96);
  u16 flags = base::load<u16>(s + 106);
  bool second = (flags & 1) != 0;
  l.dirty = (flags & 2) != 0;
  bool sane = (tables == 1 || tables == 2) && table >= 2 * kRegionSectors && l.clusters > 0 &&
              l.clusters <= 0xfffffff5 && sectors <= medium.size() >> sector_shift &&
              table + tables * table_sectors <= heap && heap <= sectors &&
              u64{l.clusters} <= (sectors - heap) >> cluster_shift &&
              table_sectors * (sector_bytes / 4) >= u64{l.clusters} + 2 && (tables == 2 || !second);
  if (!sane) return fail(Errc::kCorrupt, "an exFAT boot sector that contradicts itself");
  l.table_at = (table + (second ? table_sectors : 0)) * sector_bytes;
  l.heap_at = heap * sector_bytes;
  return l;
}

Result<base::Owner<Exfat>> Exfat::mount(Medium& medium) {
  if (medium.size() < 4096) return fail(Errc::kNotFound, "no exFAT boot sector");
  Byte s[512];
  TRY(medium.read(0, s));
  bool named = std::memcmp(s + 3, "EXFAT   ", 8) == 0;
  u32 shift = s[108];
  Result<ExfatLayout> main =
      named && shift >= 9 && shift <= 12
          ? read_exfat_layout(medium, 0, 1u << shift)
          : Result<ExfatLayout>(fail(Errc::kNotFound, "no exFAT boot sector"));
  if (!main.has_value() && !named) return std::unexpected(main.error());
  if (!main.has_value()) {
    for (u32 bytes = 512; bytes <= 4096 && !main.has_value(); bytes *= 2) {
      Result<ExfatLayout> backup = read_exfat_layout(medium, kBackupSector, bytes);
      if (backup.has_value()) main = backup;
    }
    if (!main.has_value()) return fail(Errc::kCorrupt, "both exFAT boot regions are broken");
    log::warn("exfat", "the main boot region is broken, its backup is used");
  }
  auto exfat = TRY(base::make<Exfat>(medium));
  TRY(exfat->medium_.init());
  exfat->layout_ = *main;
  if (main->dirty) log::warn("exfat", "it was not unmounted cleanly");
  TRY(exfat->read_root());
  return exfat;
}

Result<u32> Exfat::next(u32 cluster) {
  Byte bytes[4];
  TRY(medium_.read(layout_.table_at + u64{cluster} * 4, bytes));
  u32 value = base::load<u32>(bytes);
  if (value == kEndOfChain) return u32{0};
  if (!usable(value)) return fail(Errc::kCorrupt, "a cluster chain leaves the volume");
  return value;
}

// Returns the runs of at most `bytes` of the chain from `first`; fewer if the chain ends earlier.
Result<RunList> Exfat::chain(u32 first, u64 bytes) {
  RunList list;
  ChainWatch watch;
  for (u32 c = first; c != 0 && list.end() < bytes;) {
    if (!usable(c)) return fail(Errc::kCorrupt, "a cluster chain leaves the volume");
    TRY(watch.visit(c));
    u64 part = std::min<u64>(layout_.cluster_bytes, bytes - list.end());
    TRY(list.add({list.end(), cluster_at(c), part}));
    if (list.end() < bytes) c = TRY(next(c));
  }
  return list;
}

// Returns runs that cover all bytes, or an error.
Result<RunList> Exfat::runs(const ExfatChain& where) {
  if (where.bytes == 0) return RunList{};
  if (!where.contiguous) {
    RunList list = TRY(chain(where.first, where.bytes));
    if (list.end() < where.bytes) return fail(Errc::kCorrupt, "a cluster chain ends early");
    return list;
  }
  u64 count = clusters_of(where.bytes);
  if (!usable(where.first) || count > layout_.clusters - (where.first - 2))
    return fail(Errc::kCorrupt, "the clusters of a file leave the volume");
  RunList list;
  TRY(list.add({0, cluster_at(where.first), where.bytes}));
  return list;
}

// Reads the root directory. It has no entry that gives its length, and it holds the bitmap and the
// up-case table (sections 7.1 and 7.2).
Result<void> Exfat::read_root() {
  RunList where = TRY(chain(layout_.root, kExfatMostDirectory));
  root_ = {.first = layout_.root, .contiguous = false, .bytes = where.end()};
  Byte slot[kExfatSlotBytes];
  bool table_seen = false;  // there must be only one of each
  for (u64 at = 0; at < where.end(); at += sizeof slot) {
    TRY(where.read(medium_, at, slot));
    if (slot[0] == 0) break;
    if (slot[0] == kUpcase && !std::exchange(table_seen, true)) TRY(read_upcase(slot));
    if (slot[0] == kBitmap && bitmap_at_.first == 0)
      bitmap_at_ = {base::load<u32>(slot + 20), false, base::load<u64>(slot + 24)};
  }
  if (upcase_.empty()) log::warn("exfat", "no up-case table: only ASCII names ignore case");
  return {};
}

// Section 7.2.5: a unit of 0xffff is followed by the number of characters that stay as they are.
Result<void> Exfat::read_upcase(const Byte* slot) {
  u64 bytes = base::load<u64>(slot + 24);
  if (bytes > kMostUpcaseBytes || bytes % 2 != 0) return {};
  Vector<Byte> table;
  TRY(table.resize(static_cast<usize>(bytes)));
  upcase_at_ = {base::load<u32>(slot + 20), false, bytes};
  RunList where = TRY(runs(upcase_at_));
  TRY(where.read(medium_, 0, table.view()));
  u32 sum = 0;
  for (Byte b : table.view()) sum = std::rotr(sum, 1) + static_cast<u8>(b);
  if (sum != base::load<u32>(slot + 4)) {
    log::warn("exfat", "the checksum of the up-case table is wrong: it is not used");
    return {};
  }
  for (usize i = 0; i + 1 < table.size() && upcase_.size() < 65536; i += 2) {
    u16 unit = base::load<u16>(table.data() + i);
    bool skip = unit == 0xffff && i + 3 < table.size();
    if (!skip) {
      TRY(upcase_.push_back(unit));
      continue;
    }
    i += 2;
    usize same = std::min<usize>(base::load<u16>(table.data() + i), 65536 - upcase_.size());
    for (usize n = 0; n < same; n++) TRY(upcase_.push_back(static_cast<u16>(upcase_.size())));
  }
  return {};
}

Result<Space> Exfat::space() {
  TurnGuard guard(turn_);
  TRY(load_bitmap());
  return Space{u64{layout_.clusters} * layout_.cluster_bytes,
               u64{bitmap_.free()} * layout_.cluster_bytes};
}

}  // namespace fs
