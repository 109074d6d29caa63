// SPDX-License-Identifier: GPL-2.0-or-later
// Implements disks that are files.
#include "service/install/file_disk.h"

namespace service {

BlockGeometry FileDisk::geometry() const {
  return {.blocks = file_->size() / kBlockBytes,
          .block_bytes = kBlockBytes,
          .max_transfer_bytes = static_cast<u32>(kMiB),
          .read_only = access_ == Access::kRead,
          .fixed = false};
}

Result<void> FileDisk::submit(BlockRequest& request) {
  request.status = transfer(request);
  request.complete(request);
  return {};
}

Result<void> FileDisk::transfer(BlockRequest& request) {
  constexpr const char* kShort = "the image's file is shorter than it was: is its disk full?";
  u64 at = request.first_block * kBlockBytes;
  switch (request.operation) {
    case BlockOperation::kRead:
      return TRY(file_->read_at(at, request.buffer)) == request.buffer.size()
                 ? Result<void>()
                 : fail(Errc::kIo, kShort);
    case BlockOperation::kWrite:
      return TRY(file_->write_at(at, request.buffer)) == request.buffer.size()
                 ? Result<void>()
                 : fail(Errc::kIo, kShort);
    case BlockOperation::kFlush:
      break;
  }
  return file_->flush();
}

}  // namespace service
