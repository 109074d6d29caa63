// SPDX-License-Identifier: GPL-2.0-or-later
// Implements partition tables.
#include "kernel/fs/partition.h"

#include "kernel/fs/crc.h"

namespace fs {
namespace {

constexpr u32 kMostPartitions = 128, kMostGptEntries = 1024, kMostGptEntryBytes = 4096;
constexpr u8 kProtective = 0xee;
constexpr u32 kFirstLogical = 5;

Result<void> keep(PartitionTable& table, const Medium& disk, Partition p) {
  bool inside = p.bytes > 0 && p.offset <= disk.size() && p.bytes <= disk.size() - p.offset;
  if (!inside || table.partitions.size() >= kMostPartitions) return {};
  return table.partitions.push_back(p);
}

struct MbrEntry {
  u8 type;
  u64 first, count;  // in blocks
};

MbrEntry mbr_entry(std::span<const Byte> sector, usize index) {
  const Byte* at = sector.data() + 446 + 16 * index;
  return {at[4], base::load<u32>(at + 8), base::load<u32>(at + 12)};
}

bool is_extended(u8 type) {
  return type == 0x05 || type == 0x0f || type == 0x85;
}

// Follows a chain of tables, each with one partition and a link to the next one.
Result<void> add_logical(PartitionTable& table, Medium& disk, u32 block, u64 extended) {
  u64 at = extended;
  u32 number = kFirstLogical;
  for (u32 steps = 0; steps < kMostPartitions; steps++) {
    Byte sector[512];
    if (!disk.read(at * block, sector).has_value() || base::load<u16>(sector + 510) != 0xaa55)
      return {};
    MbrEntry own = mbr_entry(sector, 0), next = mbr_entry(sector, 1);
    if (own.type != 0 && own.count != 0)
      TRY(keep(table, disk, {number++, (at + own.first) * block, own.count * block}));
    if (!is_extended(next.type) || next.first == 0) return {};
    u64 following = extended + next.first;
    if (following <= at) return {};  // only forward links are followed, so the chain ends
    at = following;
  }
  return {};
}

Result<PartitionTable> read_mbr(Medium& disk, u32 block, std::span<const Byte> sector) {
  PartitionTable table;
  for (u32 i = 0; i < 4; i++) {
    MbrEntry e = mbr_entry(sector, i);
    Byte status = sector[446 + 16 * i];
    if (status != 0 && status != 0x80) return PartitionTable{};  // this is boot code, not a table
    if (e.type == 0 || e.count == 0) continue;
    table.kind = TableKind::kMbr;
    if (is_extended(e.type)) {
      TRY(add_logical(table, disk, block, e.first));
    } else {
      TRY(keep(table, disk, {i + 1, e.first * block, e.count * block}));
    }
  }
  return table;
}

// Reads the header at `lba` and its entries, and checks both checksums.
Result<PartitionTable> read_gpt(Medium& disk, u32 block, u64 lba) {
  Byte header[512];
  TRY(disk.read(lba * block, header));
  if (std::memcmp(header, "EFI PART", 8) != 0) return fail(Errc::kCorrupt, "no GPT header");
  u32 header_bytes = base::load<u32>(header + 12);
  if (header_bytes < 92 || header_bytes > sizeof header)
    return fail(Errc::kCorrupt, "a GPT header of an odd size");
  u32 wanted = base::load<u32>(header + 16);
  base::store<u32>(header + 16, 0);
  if (~Crc32Ieee::update(~0u, std::span(header).first(header_bytes)) != wanted)
    return fail(Errc::kCorrupt, "the checksum of the GPT header is wrong");
  if (base::load<u64>(header + 24) != lba) return fail(Errc::kCorrupt, "a GPT header out of place");
  u64 entries = base::load<u64>(header + 72);
  u32 count = base::load<u32>(header + 80), bytes = base::load<u32>(header + 84);
  bool sane = count <= kMostGptEntries && bytes >= 128 && bytes <= kMostGptEntryBytes &&
              bytes % 128 == 0 && entries <= disk.size() / block;
  if (!sane) return fail(Errc::kCorrupt, "a GPT of an odd shape");
  Vector<Byte> array;
  TRY(array.resize(usize{count} * bytes));
  TRY(disk.read(entries * block, array.view()));
  if (~Crc32Ieee::update(~0u, array.view()) != base::load<u32>(header + 88))
    return fail(Errc::kCorrupt, "the checksum of the GPT entries is wrong");
  PartitionTable table{TableKind::kGpt, {}};
  for (u32 i = 0; i < count; i++) {
    const Byte* e = array.data() + usize{i} * bytes;
    if (base::load<u64>(e) == 0 && base::load<u64>(e + 8) == 0) continue;
    u64 first = base::load<u64>(e + 32), last = base::load<u64>(e + 40);
    u64 blocks = disk.size() / block;
    if (first > last || last >= blocks) continue;
    TRY(keep(table, disk, {i + 1, first * block, (last - first + 1) * block}));
  }
  return table;
}

}  // namespace

Result<PartitionTable> read_partitions(Medium& disk, u32 block) {
  bool sane = base::is_power_of_two(block) && block >= 512 && block <= 4096;
  if (!sane || disk.size() < 3 * u64{block}) return PartitionTable{};
  Byte sector[512];
  TRY(disk.read(0, sector));
  if (base::load<u16>(sector + 510) != 0xaa55) return PartitionTable{};
  bool protective = false;
  for (u32 i = 0; i < 4; i++) protective = protective || mbr_entry(sector, i).type == kProtective;
  if (!protective) return read_mbr(disk, block, sector);
  Result<PartitionTable> first = read_gpt(disk, block, 1);
  if (first.has_value()) return first;
  Result<PartitionTable> backup = read_gpt(disk, block, disk.size() / block - 1);
  if (!backup.has_value()) return first;
  backup->kind = TableKind::kGptBackup;
  return backup;
}

}  // namespace fs
