// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the division of a disk.
#include "service/install/layout.h"

#include <algorithm>

#include "kernel/base/bytes.h"
#include "kernel/crypto/random.h"
#include "kernel/fs/fat_format.h"

namespace service {
namespace {

constexpr u64 kBiosBootBytes = kMiB, kStateBytes = kMiB;
constexpr u64 kMostBootBytes = 512 * kMiB, kLeastBootBytes = 64 * kMiB;
constexpr u64 kBootShare = 16;  // of the disk's size, where that is between these two
constexpr u64 kLeastDataBytes = 32 * kMiB;
constexpr u64 kEnds = 2 * kMiB;  // before the first partition, and for the backup of the table

// The types as text: 21686148-6449-6e6f-744e-656564454649, c12a7328-f81f-11d2-ba4b-00a0c93ec93b,
// 5c1d3c1e-2f0b-4b6e-9a53-6d6172726f77 (Marrow's own) and ebd0a0a2-b9e5-4433-87c0-68b6b72699c7.
// The first three fields are stored little-endian.
struct PartKind {
  fs::Guid type;
  const char* name;
};
constexpr PartKind kKinds[kDiskParts] = {
    {{0x48, 0x61, 0x68, 0x21, 0x49, 0x64, 0x6f, 0x6e, 0x74, 0x4e, 0x65, 0x65, 0x64, 0x45, 0x46,
      0x49},
     "marrow bios boot"},
    {{0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9,
      0x3b},
     "marrow boot"},
    {{0x1e, 0x3c, 0x1d, 0x5c, 0x0b, 0x2f, 0x6e, 0x4b, 0x9a, 0x53, 0x6d, 0x61, 0x72, 0x72, 0x6f,
      0x77},
     "marrow state"},
    {{0xa2, 0xa0, 0xd0, 0xeb, 0xe5, 0xb9, 0x33, 0x44, 0x87, 0xc0, 0x68, 0xb6, 0xb7, 0x26, 0x99,
      0xc7},
     "marrow data"},
};

u64 mebibytes_up(u64 bytes) {
  return (bytes + kMiB - 1) / kMiB * kMiB;
}

u64 least_boot(const DiskNeeds& needs, u32 block_bytes) {
  u64 wanted = mebibytes_up(needs.boot_bytes) + 16 * kMiB;
  return std::max({wanted, kLeastBootBytes, fs::least_fat32_bytes(block_bytes)});
}

// exFAT's own tables take less than a hundredth, and the last cluster of a file may be empty.
u64 least_data(const DiskNeeds& needs) {
  return mebibytes_up(needs.model_bytes + needs.model_bytes / 64) + kLeastDataBytes;
}

// `fill` gives bytes to a span, one id after the other.
template <class Fill>
DiskIds filled_ids(Fill fill) {
  DiskIds ids;
  fill(ids.disk);
  for (fs::Guid& part : ids.parts) fill(part);
  fill(ids.medium);
  for (u32* serial : {&ids.boot_serial, &ids.data_serial})
    fill({reinterpret_cast<Byte*>(serial), sizeof *serial});
  ids.disk = fs::make_guid(ids.disk);
  for (fs::Guid& part : ids.parts) part = fs::make_guid(part);
  return ids;
}

}  // namespace

u64 least_disk_bytes(const DiskNeeds& needs, u32 block_bytes) {
  return kEnds + kBiosBootBytes + kStateBytes + least_boot(needs, block_bytes) + least_data(needs);
}

Result<DiskLayout> plan_disk(u64 blocks, u32 block_bytes, const DiskNeeds& needs) {
  bool sane = base::is_power_of_two(block_bytes) && block_bytes >= 512 && block_bytes <= 4096 &&
              blocks <= ~u64{0} / block_bytes;
  if (!sane) return fail(Errc::kUnsupported, "a disk with blocks of this size cannot be used");
  u64 bytes = base::round_down(blocks * block_bytes, kMiB);
  if (bytes < least_disk_bytes(needs, block_bytes))
    return fail(Errc::kFull, "the disk is too small: use a larger one");
  u64 share = std::clamp(mebibytes_up(bytes / kBootShare), kLeastBootBytes, kMostBootBytes);
  u64 boot = std::max(share, least_boot(needs, block_bytes));
  boot = std::min(boot, bytes - kEnds - kBiosBootBytes - kStateBytes - least_data(needs));
  const u64 sizes[kDiskParts] = {kBiosBootBytes, boot, kStateBytes,
                                 bytes - kEnds - kBiosBootBytes - boot - kStateBytes};
  DiskLayout layout{.block_bytes = block_bytes};
  u64 at = kMiB;
  for (usize i = 0; i < kDiskParts; i++) {
    layout.parts[i] = {at / block_bytes, sizes[i] / block_bytes};
    at += sizes[i];
  }
  return layout;
}

DiskIds random_ids() {
  return filled_ids([](std::span<Byte> id) { crypto::random_fill(id); });
}

DiskIds ids_of(const crypto::Sha256Digest& seed) {
  crypto::Generator numbers;
  numbers.mix(seed);
  return filled_ids([&](std::span<Byte> id) { numbers.fill(id); });
}

fs::NewTable table_of(const DiskLayout& layout, const DiskIds& ids,
                      std::span<fs::NewPartition, kDiskParts> rows,
                      std::span<const Byte> boot_code) {
  for (usize i = 0; i < kDiskParts; i++)
    rows[i] = {.type = kKinds[i].type,
               .id = ids.parts[i],
               .first = layout.parts[i].first,
               .blocks = layout.parts[i].blocks,
               .name = kKinds[i].name};
  return {.block_bytes = layout.block_bytes,
          .disk = ids.disk,
          .partitions = rows,
          .boot_code = boot_code};
}

}  // namespace service
