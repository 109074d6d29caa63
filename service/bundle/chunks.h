// SPDX-License-Identifier: GPL-2.0-or-later
// Lists of SHA-256, one of each MiB of a file: they let all CPUs check a model while it is read.
// The manifest has the SHA-256 of the list, which lies beside the file. For threads of CPU 0.
#pragma once

#include <optional>

#include "service/bundle/manifest.h"
#include "service/fast_hash.h"

namespace service::bundle {

constexpr u64 chunk_count(u64 bytes) {
  return (bytes + kChunkBytes - 1) / kChunkBytes;
}
// Returns the part of a file in memory that is one chunk.
std::span<const Byte> chunk_of(std::span<const Byte> whole, u64 index);

// Makes a list of the bytes that come.
class ChunkHashes {
 public:
  Result<void> update(std::span<const Byte> bytes);
  // Ends the last chunk. Call once.
  Result<void> finish();
  std::span<const crypto::Sha256Digest> list() const { return list_.view(); }

 private:
  Result<void> end_chunk();

  crypto::Sha256By sha_ = fast_sha256();
  u64 filled_ = 0;  // bytes of the present chunk
  Vector<crypto::Sha256Digest> list_;
};

std::span<const Byte> list_bytes(std::span<const crypto::Sha256Digest> list);

class ChunkList {
 public:
  // Reads the list of the model of the bundle in `folder`. Returns kNotFound without one, kCorrupt
  // if it has another length or is not the one of the manifest.
  static Result<ChunkList> read(std::string_view folder, const Payload& payload);
  // Hashes the chunks [first, last) of a file in memory on all workers. Waits for them. Returns one
  // that is not as the list says.
  std::optional<u64> find_wrong(std::span<const Byte> whole, u64 first, u64 last) const;
  std::span<const crypto::Sha256Digest> list() const { return list_.view(); }

 private:
  Vector<crypto::Sha256Digest> list_;
};

}  // namespace service::bundle
