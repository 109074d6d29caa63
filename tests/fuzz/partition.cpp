// SPDX-License-Identifier: GPL-2.0-or-later
// Reads arbitrary bytes as a disk with a partition table: every partition must lie within the disk.
// The checksums of a GPT are also repaired, because mutation would hardly ever get past them.
#include <algorithm>
#include <vector>

#include "kernel/fs/crc.h"
#include "kernel/fs/partition.h"

namespace {

void read(std::span<const Byte> bytes, u32 block) {
  fs::MemoryMedium disk(bytes);
  auto table = fs::read_partitions(disk, block);
  if (!table.has_value()) return;
  for (const fs::Partition& p : table->partitions)
    if (p.bytes == 0 || p.offset > bytes.size() || p.bytes > bytes.size() - p.offset)
      __builtin_trap();
}

// The header in the second block, whatever its fields, in the protective disguise.
void repair(std::vector<Byte>& image) {
  Byte* header = image.data() + 512;
  base::store<u16>(image.data() + 510, 0xaa55);
  image[446 + 4] = 0xee;
  std::memcpy(header, "EFI PART", 8);
  base::store<u32>(header + 12, 92);
  base::store<u64>(header + 24, 1);
  u64 entries = base::load<u64>(header + 72) % (image.size() / 512);
  u32 count = base::load<u32>(header + 80) % 64, bytes = 128u << (header[84] % 3);
  base::store<u64>(header + 72, entries);
  base::store<u32>(header + 80, count);
  base::store<u32>(header + 84, bytes);
  u64 end = entries * 512 + u64{count} * bytes;
  if (end <= image.size())
    base::store<u32>(header + 88,
                     ~fs::Crc32Ieee::update(~0u, std::span<const Byte>(image).subspan(
                                                     entries * 512, usize{count} * bytes)));
  base::store<u32>(header + 16, 0);
  base::store<u32>(header + 16,
                   ~fs::Crc32Ieee::update(~0u, std::span<const Byte>(image).subspan(512, 92)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const Byte* data, usize size) {
  for (u32 block : {512u, 4096u}) read({data, size}, block);
  // Partition entries of MBR, then header and entries of GPT, on a disk of at least 32 blocks.
  std::vector<Byte> image(base::round_up(std::max<usize>(size, 32 * 512), 512));
  std::copy(data, data + std::min<usize>(size, 64), image.data() + 446);
  if (size > 64) std::copy(data + 64, data + size, image.data() + 512);
  base::store<u16>(image.data() + 510, 0xaa55);
  for (u32 block : {512u, 4096u}) read(image, block);
  repair(image);
  read(image, 512);
  return 0;
}
