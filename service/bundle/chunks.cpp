// SPDX-License-Identifier: GPL-2.0-or-later
// Reads lists and compares bytes with them.
#include "service/bundle/chunks.h"

#include <algorithm>
#include <atomic>

#include "kernel/base/format.h"
#include "kernel/fs/file_system.h"
#include "service/ai_platform.h"
#include "service/fast_hash.h"

namespace service::bundle {
namespace {

std::unexpected<Error> wrong_list() {
  return fail(Errc::kCorrupt,
              "model.chunks is not the list of its manifest: copy the bundle again, or without it");
}

}  // namespace

std::span<const Byte> chunk_of(std::span<const Byte> whole, u64 index) {
  u64 at = index * kChunkBytes;
  return whole.subspan(at, std::min(kChunkBytes, whole.size() - at));
}

std::span<const Byte> list_bytes(std::span<const crypto::Sha256Digest> list) {
  static_assert(sizeof(crypto::Sha256Digest) == 32);
  return {list.empty() ? nullptr : list.front().data(), list.size_bytes()};
}

Result<void> ChunkHashes::update(std::span<const Byte> bytes) {
  while (!bytes.empty()) {
    if (filled_ == 0) sha_ = fast_sha256();
    auto part = bytes.first(std::min<u64>(bytes.size(), kChunkBytes - filled_));
    sha_.update(part);
    filled_ += part.size();
    bytes = bytes.subspan(part.size());
    if (filled_ == kChunkBytes) TRY(end_chunk());
  }
  return {};
}

Result<void> ChunkHashes::end_chunk() {
  filled_ = 0;
  return list_.push_back(sha_.finish());
}

Result<void> ChunkHashes::finish() {
  return filled_ > 0 ? end_chunk() : Result<void>{};
}

Result<ChunkList> ChunkList::read(std::string_view folder, const Payload& payload) {
  char room[640];
  ChunkList made;
  u64 count = chunk_count(payload.bytes);
  base::Owner<fs::File> file =
      TRY(fs::open(base::format_into(room, "{}/{}", folder, kChunkListName)));
  if (file->size() != count * sizeof(crypto::Sha256Digest)) return wrong_list();
  TRY(made.list_.resize(count));
  auto* bytes = made.list_.data()->data();
  std::span<Byte> into(bytes, made.list_.view().size_bytes());
  for (usize at = 0; at < into.size();) {
    usize n = TRY(file->read_at(at, into.subspan(at)));
    if (n == 0) return wrong_list();
    at += n;
  }
  crypto::Sha256By sha = fast_sha256();
  sha.update(into);
  if (sha.finish() != payload.chunks_sha256) return wrong_list();
  return made;
}

std::optional<u64> ChunkList::find_wrong(std::span<const Byte> whole, u64 first, u64 last) const {
  ASSERT(last <= list_.size());
  const crypto::Sha256By fresh = fast_sha256();
  std::atomic<u64> wrong{~u64{0}};
  ai::parallel_ranges(ai_platform(), static_cast<u32>(last - first), 1, [&](u32 from, u32 to, u32) {
    for (u64 i = first + from; i < first + to; i++) {
      crypto::Sha256By sha = fresh;
      sha.update(chunk_of(whole, i));
      if (sha.finish() != list_[i]) wrong.store(i, std::memory_order_relaxed);
    }
  });
  u64 found = wrong.load(std::memory_order_relaxed);
  return found == ~u64{0} ? std::nullopt : std::optional(found);
}

}  // namespace service::bundle
