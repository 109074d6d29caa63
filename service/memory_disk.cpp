// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the disk in memory.
#include "service/memory_disk.h"

#include <algorithm>

#include "kernel/crypto/random.h"
#include "kernel/dev/registry.h"
#include "kernel/fs/disks.h"
#include "kernel/fs/exfat_format.h"

namespace service {
namespace {

constexpr usize kPieceBytes = kMiB;

}  // namespace

Result<base::Owner<MemoryDisk>> MemoryDisk::create(u64 mebibytes) {
  if (mebibytes < kLeastMemoryDisk || mebibytes > kMostMemoryDisk)
    return fail(Errc::kInvalidArgument, "a disk in memory has 16 MiB to 1 TiB");
  auto disk = TRY(base::make<MemoryDisk>());
  TRY(disk->pieces_.resize(static_cast<usize>(mebibytes)));
  return disk;
}

BlockGeometry MemoryDisk::geometry() const {
  return {.blocks = pieces_.size() * kPieceBytes / kBlockBytes,
          .block_bytes = kBlockBytes,
          .max_transfer_bytes = static_cast<u32>(kPieceBytes)};
}

Result<void> MemoryDisk::submit(BlockRequest& request) {
  request.status = transfer(request);
  request.complete(request);
  return {};
}

Result<void> MemoryDisk::transfer(BlockRequest& request) {
  if (request.operation == BlockOperation::kFlush) return {};
  BlockGeometry size = geometry();
  u64 blocks = request.buffer.size() / kBlockBytes;
  if (request.first_block > size.blocks || blocks > size.blocks - request.first_block)
    return fail(Errc::kOutOfRange, "a request behind the end of the disk");
  u64 at = request.first_block * kBlockBytes;
  for (std::span<Byte> rest = request.buffer; !rest.empty();) {
    Vector<Byte>& piece = pieces_[static_cast<usize>(at / kPieceBytes)];
    usize inside = static_cast<usize>(at % kPieceBytes);
    usize part = std::min(rest.size(), kPieceBytes - inside);
    if (request.operation == BlockOperation::kWrite) {
      if (piece.size() == 0) TRY(piece.resize(kPieceBytes));
      std::copy_n(rest.data(), part, piece.data() + inside);
    } else if (piece.size() == 0) {
      std::fill_n(rest.data(), part, Byte{0});
    } else {
      std::copy_n(piece.data() + inside, part, rest.data());
    }
    rest = rest.subspan(part);
    at += part;
  }
  return {};
}

Result<void> make_memory_disk(u64 mebibytes) {
  if (devices::find_block("ram0") != nullptr)
    return fail(Errc::kBusy, "there is a disk in memory already: a restart takes it away");
  base::Owner<MemoryDisk> disk = TRY(MemoryDisk::create(mebibytes));
  {
    fs::DiskMedium medium(*disk);
    TRY(fs::format_exfat(
        medium, {.serial = static_cast<u32>(crypto::random_u64()), .label = "MARROW RAM"}));
  }
  TRY(devices::add_block(*disk));
  static_cast<void>(disk.release());  // devices are never removed
  return {};
}

}  // namespace service
