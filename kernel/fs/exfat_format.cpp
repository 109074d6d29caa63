// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the making of exFAT volumes: both boot regions, table, bitmap, up-case table, root.
#include "kernel/fs/exfat_format.h"

#include <algorithm>
#include <bit>

namespace fs {
namespace {

constexpr u32 kRegionSectors = 12, kFirstCluster = 2;
constexpr u32 kEndOfChain = 0xffffffff, kMediaEntry = 0xfffffff8;

// Letters that have a capital one: all of a range, or every second one of it.
struct Capitals {
  u16 first, last;
  i16 distance;  // from the letter to its capital
  u16 step;
};
constexpr Capitals kCapitals[] = {
    {'a', 'z', -32, 1},       {0xe0, 0xf6, -32, 1},     {0xf8, 0xfe, -32, 1},
    {0xff, 0xff, 121, 1},     {0x101, 0x12f, -1, 2},    {0x133, 0x137, -1, 2},
    {0x13a, 0x148, -1, 2},    {0x14b, 0x177, -1, 2},    {0x17a, 0x17e, -1, 2},
    {0x3ac, 0x3ac, -38, 1},   {0x3ad, 0x3af, -37, 1},   {0x3b1, 0x3c1, -32, 1},
    {0x3c3, 0x3cb, -32, 1},   {0x3cc, 0x3cc, -64, 1},   {0x3cd, 0x3ce, -63, 1},
    {0x3d9, 0x3ef, -1, 2},    {0x430, 0x44f, -32, 1},   {0x450, 0x45f, -80, 1},
    {0x461, 0x481, -1, 2},    {0x48b, 0x4bf, -1, 2},    {0x4c2, 0x4ce, -1, 2},
    {0x4d1, 0x52f, -1, 2},    {0x561, 0x586, -48, 1},   {0x1e01, 0x1e95, -1, 2},
    {0x1ea1, 0x1eff, -1, 2},  {0x2170, 0x217f, -16, 1}, {0x24d0, 0x24e9, -26, 1},
    {0xff41, 0xff5a, -32, 1},
};

u16 capital(u16 c) {
  for (const Capitals& row : kCapitals)
    if (c >= row.first && c <= row.last && (c - row.first) % row.step == 0)
      return static_cast<u16>(c + row.distance);
  return c;
}

// Section 7.2.5: 0xffff and a number stand for that many characters without a capital.
Result<Vector<Byte>> upcase_table() {
  Vector<Byte> table;
  auto put = [&](u32 unit) -> Result<void> {
    TRY(table.push_back(static_cast<Byte>(unit)));
    return table.push_back(static_cast<Byte>(unit >> 8));
  };
  for (u32 c = 0; c < 0x10000;) {
    u32 same = 0;
    while (c + same < 0x10000 && capital(static_cast<u16>(c + same)) == c + same) same++;
    if (same > 2) {
      u32 part = std::min(same, 0xffffu);
      TRY(put(0xffff));
      TRY(put(part));
      c += part;
    } else {
      TRY(put(capital(static_cast<u16>(c))));
      c++;
    }
  }
  return table;
}

u32 turn_and_add(u32 sum, Byte byte) {
  return std::rotr(sum, 1) + static_cast<u8>(byte);
}

u32 shift_of(u64 power_of_two) {
  return static_cast<u32>(std::countr_zero(power_of_two));
}

struct Plan {
  u32 sector = 0, cluster = 0;                 // bytes
  u64 sectors = 0;                             // of the volume
  u64 table = 0, table_sectors = 0, heap = 0;  // in sectors
  u32 clusters = 0;
  u32 bitmap_clusters = 0, upcase_clusters = 0;
  u64 bitmap_bytes = 0;
  u32 upcase_first() const { return kFirstCluster + bitmap_clusters; }
  u32 root() const { return upcase_first() + upcase_clusters; }
  u64 at(u32 c) const { return heap * sector + u64{c - kFirstCluster} * cluster; }
};

// The sizes that Windows chooses.
u32 usual_cluster(u64 volume) {
  return volume <= 256 * kMiB ? 4096 : volume <= 32 * kGiB ? 32 * 1024 : 128 * 1024;
}

Result<Plan> plan_volume(u64 volume, const ExfatFormat& format, usize upcase_bytes) {
  Plan p;
  p.sector = format.sector_bytes;
  p.cluster = format.cluster_bytes != 0 ? format.cluster_bytes : usual_cluster(volume);
  bool sane = base::is_power_of_two(p.sector) && p.sector >= 512 && p.sector <= 4096 &&
              base::is_power_of_two(p.cluster) && p.cluster >= p.sector && p.cluster <= 32 * kMiB;
  if (!sane) return fail(Errc::kInvalidArgument, "exFAT has no clusters or sectors of this size");
  if (volume < kMiB) return fail(Errc::kFull, "the disk is too small: exFAT needs 1 MiB");
  p.sectors = volume / p.sector;
  // Disks write whole MiB fastest; small volumes have no room for that.
  u64 align = std::max<u64>(p.cluster, volume >= 64 * kMiB ? kMiB : 0) / p.sector;
  u64 each = p.cluster / p.sector;
  p.table = base::round_up(2 * kRegionSectors, align);
  u64 most = (p.sectors - p.table) / each;
  if (p.table >= p.sectors || most > 0xfffffff0)
    return fail(Errc::kInvalidArgument, "exFAT needs clusters of another size on this disk");
  p.table_sectors = ((most + 2) * 4 + p.sector - 1) / p.sector;
  p.heap = base::round_up(p.table + p.table_sectors, align);
  p.clusters = p.heap < p.sectors ? static_cast<u32>((p.sectors - p.heap) / each) : 0;
  p.bitmap_bytes = (u64{p.clusters} + 7) / 8;
  p.bitmap_clusters = static_cast<u32>((p.bitmap_bytes + p.cluster - 1) / p.cluster);
  p.upcase_clusters = static_cast<u32>((upcase_bytes + p.cluster - 1) / p.cluster);
  if (p.clusters < p.bitmap_clusters + p.upcase_clusters + 2)
    return fail(Errc::kFull, "the disk is too small for exFAT");
  return p;
}

Result<void> write_table(Medium& medium, const Plan& p) {
  u64 table = p.table * p.sector;
  TRY(write_zeros(medium, table, p.table_sectors * p.sector));
  Vector<Byte> head;
  TRY(head.resize((usize{p.root()} + 1) * 4));
  base::store<u32>(head.data(), kMediaEntry);
  base::store<u32>(head.data() + 4, kEndOfChain);
  for (u32 c = kFirstCluster; c <= p.root(); c++) {
    bool last = c + 1 == p.upcase_first() || c + 1 == p.root() || c == p.root();
    base::store<u32>(head.data() + usize{c} * 4, last ? kEndOfChain : c + 1);
  }
  return medium.write(table, head.view());
}

Result<void> write_bitmap(Medium& medium, const Plan& p) {
  TRY(write_zeros(medium, p.at(kFirstCluster), u64{p.bitmap_clusters} * p.cluster));
  u32 used = p.bitmap_clusters + p.upcase_clusters + 1;
  Vector<Byte> bits;
  TRY(bits.resize((usize{used} + 7) / 8));
  for (u32 i = 0; i < used; i++) bits[i / 8] |= static_cast<Byte>(1u << i % 8);
  return medium.write(p.at(kFirstCluster), bits.view());
}

Result<void> write_root(Medium& medium, const Plan& p, std::span<const Byte> upcase,
                        std::string_view label) {
  constexpr usize kMostLabel = 11;
  if (label.size() > kMostLabel)
    return fail(Errc::kInvalidArgument, "the volume's name is too long: choose a shorter one");
  TRY(write_zeros(medium, p.at(p.root()), p.cluster));
  Byte slots[96] = {};
  slots[0] = 0x83;  // the label
  slots[1] = static_cast<Byte>(label.size());
  for (usize i = 0; i < label.size(); i++)
    base::store<u16>(slots + 2 + 2 * i, static_cast<u8>(label[i]));
  Byte* bitmap = slots + 32;
  bitmap[0] = 0x81;
  base::store<u32>(bitmap + 20, kFirstCluster);
  base::store<u64>(bitmap + 24, p.bitmap_bytes);
  Byte* table = slots + 64;
  table[0] = 0x82;
  u32 sum = 0;
  for (Byte b : upcase) sum = turn_and_add(sum, b);
  base::store<u32>(table + 4, sum);
  base::store<u32>(table + 20, p.upcase_first());
  base::store<u64>(table + 24, upcase.size());
  return medium.write(p.at(p.root()), slots);
}

// Section 3: boot sector, eight extended ones, OEM parameters, a reserved sector, the checksum.
Result<Vector<Byte>> boot_region(const Plan& p, const ExfatFormat& format) {
  Vector<Byte> region;
  TRY(region.resize(usize{kRegionSectors} * p.sector));
  Byte* s = region.data();
  constexpr std::string_view kBeginning =
      "\xeb\x76\x90"
      "EXFAT   ";
  std::ranges::copy(kBeginning, s);
  base::store<u64>(s + 64, format.first_sector);
  base::store<u64>(s + 72, p.sectors);
  base::store<u32>(s + 80, static_cast<u32>(p.table));
  base::store<u32>(s + 84, static_cast<u32>(p.table_sectors));
  base::store<u32>(s + 88, static_cast<u32>(p.heap));
  base::store<u32>(s + 92, p.clusters);
  base::store<u32>(s + 96, p.root());
  base::store<u32>(s + 100, format.serial);
  base::store<u16>(s + 104, 0x100);  // version 1.0
  s[108] = static_cast<Byte>(shift_of(p.sector));
  s[109] = static_cast<Byte>(shift_of(p.cluster / p.sector));
  s[110] = 1;                       // tables
  s[111] = 0x80;                    // the drive, for boot code
  std::memset(s + 120, 0xf4, 390);  // the boot code: it halts
  base::store<u16>(s + 510, 0xaa55);
  for (u32 i = 1; i <= 8; i++) base::store<u32>(s + usize{i + 1} * p.sector - 4, 0xaa550000);
  u32 sum = 0;
  usize checked = usize{kRegionSectors - 1} * p.sector;
  for (usize i = 0; i < checked; i++)
    if (i != 106 && i != 107 && i != 112) sum = turn_and_add(sum, s[i]);
  for (usize at = checked; at < region.size(); at += 4) base::store<u32>(s + at, sum);
  return region;
}

}  // namespace

Result<void> format_exfat(Medium& medium, const ExfatFormat& format) {
  Vector<Byte> upcase = TRY(upcase_table());
  Plan p = TRY(plan_volume(medium.size(), format, upcase.size()));
  Vector<Byte> region = TRY(boot_region(p, format));
  // Without boot regions the volume does not exist until everything else is on the disk.
  TRY(write_zeros(medium, 0, 2 * region.size()));
  TRY(medium.flush());
  TRY(write_table(medium, p));
  TRY(write_bitmap(medium, p));
  TRY(medium.write(p.at(p.upcase_first()), upcase.view()));
  TRY(write_root(medium, p, upcase.view(), format.label));
  TRY(medium.flush());
  TRY(medium.write(region.size(), region.view()));
  TRY(medium.write(0, region.view()));
  return medium.flush();
}

}  // namespace fs
