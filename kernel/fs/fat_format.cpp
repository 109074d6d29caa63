// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the making of FAT32 volumes: boot sector and its copy, FSInfo, both tables, root.
// Sections are those of Microsoft's "FAT: General Overview of On-Disk Format" 1.03.
#include "kernel/fs/fat_format.h"

#include <algorithm>

#include "kernel/fs/fat_slots.h"

namespace fs {
namespace {

constexpr u32 kReserved = 32, kInfoSector = 1, kCopySector = 6, kTables = 2, kRoot = 2;
// A volume with fewer clusters is FAT16 (section 3.5). Some systems count 16 wrong, as it says.
constexpr u64 kLeastClusters = 65525 + 16, kMostClusters = 0x0ffffff5;
constexpr u64 kAlign = 4096;  // the unit in which disks write, and in which the data begins
constexpr usize kLabelChars = 11;

struct Plan {
  u32 sector = 0, per_cluster = 0, reserved = 0;
  u64 sectors = 0, table = 0, clusters = 0;  // `table`: sectors of one
  u64 data() const { return reserved + kTables * table; }
};

// Returns how the volume is divided with clusters of so many sectors.
Plan divide(u64 volume, u32 sector, u32 per_cluster) {
  Plan p{.sector = sector, .per_cluster = per_cluster, .reserved = kReserved};
  p.sectors = std::min<u64>(volume / sector, ~u32{0});
  // A few entries more than there are clusters, because the tables take room from them.
  u64 entries = p.sectors / per_cluster + 2;
  p.table = (entries * 4 + sector - 1) / sector;
  u64 begin = base::round_up(p.data() * sector, kAlign) / sector;
  p.reserved += static_cast<u32>(begin - p.data());
  p.clusters = p.sectors > begin ? (p.sectors - begin) / per_cluster : 0;
  return p;
}

// The sizes that Windows chooses, or smaller ones where there would be too few clusters.
Result<Plan> plan_volume(u64 volume, u32 sector) {
  if (!base::is_power_of_two(sector) || sector < 512 || sector > 4096)
    return fail(Errc::kInvalidArgument, "FAT32 has no sectors of this size");
  u64 usual = volume <= 8 * kGiB    ? 4 * kKiB
              : volume <= 16 * kGiB ? 8 * kKiB
              : volume <= 32 * kGiB ? 16 * kKiB
                                    : 32 * kKiB;
  for (u64 cluster = std::max<u64>(usual, sector); cluster >= sector; cluster /= 2) {
    Plan p = divide(volume, sector, static_cast<u32>(cluster / sector));
    if (p.clusters >= kLeastClusters && p.clusters < kMostClusters) return p;
  }
  return fail(Errc::kFull, "the volume is too small for FAT32");
}

bool good_label(std::string_view label) {
  auto good = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ' ' || c == '-' || c == '_';
  };
  return label.size() <= kLabelChars && std::ranges::all_of(label, good) && !label.starts_with(' ');
}

// Fills the 11 characters of a label. "NO NAME" is the one of a volume without a name.
void put_label(std::string_view label, Byte* at) {
  if (label.empty()) label = "NO NAME";
  std::memset(at, ' ', kLabelChars);
  std::ranges::copy(label, at);
}

// Section 3.1 to 3.3.
void make_boot_sector(const Plan& p, const FatFormat& format, std::span<Byte> sector) {
  Byte* s = sector.data();
  // Old systems look for this maker's name (section 3.1).
  constexpr std::string_view kBeginning =
      "\xeb\x58\x90"
      "MSWIN4.1";
  std::ranges::copy(kBeginning, s);
  base::store<u16>(s + 11, static_cast<u16>(p.sector));
  s[13] = static_cast<Byte>(p.per_cluster);
  base::store<u16>(s + 14, static_cast<u16>(p.reserved));
  s[16] = kTables;
  s[21] = 0xf8;                  // a disk that stays
  base::store<u16>(s + 24, 63);  // sectors a track and heads, for firmware that counts so
  base::store<u16>(s + 26, 255);
  base::store<u32>(s + 28, static_cast<u32>(std::min<u64>(format.first_sector, ~u32{0})));
  base::store<u32>(s + 32, static_cast<u32>(p.sectors));
  base::store<u32>(s + 36, static_cast<u32>(p.table));
  base::store<u32>(s + 44, kRoot);
  base::store<u16>(s + 48, kInfoSector);
  base::store<u16>(s + 50, kCopySector);
  s[64] = 0x80;  // the drive, for boot code
  s[66] = 0x29;  // serial number, label and type follow
  base::store<u32>(s + 67, format.serial);
  put_label(format.label, s + 71);
  constexpr std::string_view kType = "FAT32   ";
  std::ranges::copy(kType, s + 82);
  // The boot code asks the BIOS for the next device (int 18h), and stops if that returns.
  constexpr u8 kCode[] = {0xcd, 0x18, 0xf4, 0xeb, 0xfd};
  std::ranges::copy(kCode, s + 90);
  base::store<u16>(s + 510, 0xaa55);
}

// Section 5. Cluster 2 is the root directory's.
void make_info_sector(const Plan& p, std::span<Byte> sector) {
  Byte* s = sector.data();
  base::store<u32>(s, 0x41615252);
  base::store<u32>(s + 484, 0x61417272);
  base::store<u32>(s + 488, static_cast<u32>(p.clusters - 1));
  base::store<u32>(s + 492, kRoot + 1);
  base::store<u32>(s + 508, 0xaa550000);
}

Result<void> write_tables(Medium& medium, const Plan& p) {
  Byte head[12];
  base::store<u32>(head, 0x0ffffff8);      // the media type
  base::store<u32>(head + 4, 0x0fffffff);  // clean
  base::store<u32>(head + 8, 0x0fffffff);  // the root ends with its first cluster
  TRY(write_zeros(medium, u64{p.reserved} * p.sector, kTables * p.table * p.sector));
  for (u32 i = 0; i < kTables; i++) TRY(medium.write((p.reserved + i * p.table) * p.sector, head));
  return {};
}

Result<void> write_root(Medium& medium, const Plan& p, std::string_view label) {
  u64 root = p.data() * p.sector;
  TRY(write_zeros(medium, root, u64{p.per_cluster} * p.sector));
  if (label.empty()) return {};
  Byte slot[kFatSlotBytes] = {};
  put_label(label, slot);
  slot[kLabelChars] = kFatVolume;
  return medium.write(root, slot);
}

}  // namespace

u64 least_fat32_bytes(u32 sector_bytes) {
  u64 tables = kTables * ((kLeastClusters + 2) * 4 + sector_bytes);
  u64 bytes = (kLeastClusters + kReserved) * sector_bytes + tables + kAlign;
  // The tables also have entries for the sectors that the tables take.
  return base::round_up(bytes + bytes / 32, kMiB);
}

Result<void> format_fat32(Medium& medium, const FatFormat& format) {
  if (!good_label(format.label))
    return fail(Errc::kInvalidArgument, "FAT has no such label: 11 characters, A to Z, 0 to 9");
  Plan p = TRY(plan_volume(medium.size(), format.sector_bytes));
  Vector<Byte> boot;  // the boot sector and FSInfo, which lie side by side, twice
  TRY(boot.resize(usize{2} * p.sector));
  make_boot_sector(p, format, boot.view().first(p.sector));
  make_info_sector(p, boot.view().subspan(p.sector));
  // Without boot sectors the volume does not exist until everything else is on the disk.
  TRY(write_zeros(medium, 0, u64{p.reserved} * p.sector));
  TRY(medium.flush());
  TRY(write_tables(medium, p));
  TRY(write_root(medium, p, format.label));
  TRY(medium.flush());
  TRY(medium.write(u64{kCopySector} * p.sector, boot.view()));
  TRY(medium.write(0, boot.view()));
  return medium.flush();
}

}  // namespace fs
