// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the writing of partition tables.
#include "kernel/fs/partition_write.h"

#include <algorithm>

#include "kernel/fs/crc.h"

namespace fs {
namespace {

constexpr u32 kEntries = 128, kEntryBytes = 128, kHeaderBytes = 92;
constexpr usize kNameChars = 36;
// It asks the BIOS for the next device (int 18h), and stops if that returns.
constexpr Byte kNoLoader[] = {0xcd, 0x18, 0xf4, 0xeb, 0xfd};

u64 entry_blocks(u32 block_bytes) {
  return (kEntries * kEntryBytes + block_bytes - 1) / block_bytes;
}

u32 checksum(std::span<const Byte> bytes) {
  return ~Crc32Ieee::update(~0u, bytes);
}

bool overlap(const NewPartition& a, const NewPartition& b) {
  return a.first < b.first + b.blocks && b.first < a.first + a.blocks;
}

Result<void> check(const NewTable& table, BlockRange usable) {
  std::span<const NewPartition> all = table.partitions;
  if (table.boot_code.size() > kBootCodeBytes || all.size() > kEntries)
    return fail(Errc::kInvalidArgument, "a table has 128 partitions and 440 bytes of code");
  for (usize i = 0; i < all.size(); i++) {
    const NewPartition& p = all[i];
    bool inside = p.blocks > 0 && p.first >= usable.first && p.first < usable.end &&
                  p.blocks <= usable.end - p.first;
    if (!inside || p.type == Guid{} || p.name.size() > kNameChars)
      return fail(Errc::kInvalidArgument, "a partition without type, or outside of its disk");
    for (usize k = 0; k < i; k++)
      if (overlap(all[k], p)) return fail(Errc::kInvalidArgument, "two partitions overlap");
  }
  return {};
}

// Section 5.3.3.
Result<Vector<Byte>> entries_of(const NewTable& table) {
  Vector<Byte> array;
  TRY(array.resize(static_cast<usize>(entry_blocks(table.block_bytes) * table.block_bytes)));
  Byte* at = array.data();
  for (const NewPartition& p : table.partitions) {
    std::ranges::copy(p.type, at);
    std::ranges::copy(p.id, at + 16);
    base::store<u64>(at + 32, p.first);
    base::store<u64>(at + 40, p.first + p.blocks - 1);
    for (usize i = 0; i < p.name.size(); i++)
      base::store<u16>(at + 56 + 2 * i, static_cast<u8>(p.name[i]));
    at += kEntryBytes;
  }
  return array;
}

struct Copy {
  u64 header, other, entries;  // blocks
};

// Section 5.3.2.
Result<void> write_copy(Medium& disk, const NewTable& table, const Copy& copy,
                        std::span<const Byte> entries) {
  u64 blocks = disk.size() / table.block_bytes;
  BlockRange usable = usable_blocks(blocks, table.block_bytes);
  Vector<Byte> header;
  TRY(header.resize(table.block_bytes));
  Byte* h = header.data();
  constexpr std::string_view kSignature = "EFI PART";
  std::ranges::copy(kSignature, h);
  base::store<u32>(h + 8, 0x10000);  // revision 1.0
  base::store<u32>(h + 12, kHeaderBytes);
  base::store<u64>(h + 24, copy.header);
  base::store<u64>(h + 32, copy.other);
  base::store<u64>(h + 40, usable.first);
  base::store<u64>(h + 48, usable.end - 1);
  std::ranges::copy(table.disk, h + 56);
  base::store<u64>(h + 72, copy.entries);
  base::store<u32>(h + 80, kEntries);
  base::store<u32>(h + 84, kEntryBytes);
  base::store<u32>(h + 88, checksum(entries.first(kEntries * kEntryBytes)));
  base::store<u32>(h + 16, checksum(header.view().first(kHeaderBytes)));
  TRY(disk.write(copy.entries * table.block_bytes, entries));
  TRY(disk.write(copy.header * table.block_bytes, header.view()));
  return disk.flush();
}

// Section 5.2.3: one partition of type 0xee that covers the disk, as far as 32 bits reach.
Result<void> write_mbr(Medium& disk, const NewTable& table) {
  Vector<Byte> sector;
  TRY(sector.resize(table.block_bytes));
  Byte* s = sector.data();
  std::span<const Byte> code = table.boot_code.empty() ? kNoLoader : table.boot_code;
  std::ranges::copy(code, s);
  constexpr Byte kEntry[] = {0x00, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff};
  std::ranges::copy(kEntry, s + 446);
  u64 rest = disk.size() / table.block_bytes - 1;
  base::store<u32>(s + 454, 1);
  base::store<u32>(s + 458, static_cast<u32>(std::min<u64>(rest, ~u32{0})));
  base::store<u16>(s + 510, 0xaa55);
  TRY(disk.write(0, sector.view()));
  return disk.flush();
}

}  // namespace

BlockRange usable_blocks(u64 disk_blocks, u32 block_bytes) {
  u64 each = 1 + entry_blocks(block_bytes);  // a header and its entries
  if (disk_blocks <= 2 * each + 1) return {};
  return {1 + each, disk_blocks - each};
}

Guid make_guid(const Guid& random) {
  Guid id = random;
  id[7] = static_cast<Byte>((id[7] & 0x0f) | 0x40);  // its third field is stored little-endian
  id[8] = static_cast<Byte>((id[8] & 0x3f) | 0x80);
  return id;
}

Result<void> erase_partitions(Medium& disk) {
  u64 part = std::min<u64>(kMiB, disk.size());
  TRY(write_zeros(disk, 0, part));
  TRY(write_zeros(disk, disk.size() - part, part));
  return disk.flush();
}

Result<void> write_partitions(Medium& disk, const NewTable& table) {
  if (!base::is_power_of_two(table.block_bytes) || table.block_bytes < 512 ||
      table.block_bytes > 4096)
    return fail(Errc::kInvalidArgument, "a disk has blocks of 512 to 4096 bytes");
  u64 blocks = disk.size() / table.block_bytes;
  BlockRange usable = usable_blocks(blocks, table.block_bytes);
  if (usable.end == 0) return fail(Errc::kFull, "the disk is too small for a partition table");
  TRY(check(table, usable));
  Vector<Byte> entries = TRY(entries_of(table));
  TRY(write_copy(disk, table, {blocks - 1, 1, usable.end}, entries.view()));
  TRY(write_copy(disk, table, {1, blocks - 1, 2}, entries.view()));
  return write_mbr(disk, table);
}

}  // namespace fs
