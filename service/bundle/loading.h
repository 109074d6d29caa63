// SPDX-License-Identifier: GPL-2.0-or-later
// Watches over one load: decides by verify= whether a model may be loaded, and checks the bytes of
// a bundle in memory, before the engine sees them. What the disk has later does not matter.
// Used on the thread that loads.
#pragma once

#include <optional>

#include "service/bundle/chunks.h"
#include "service/bundle/find.h"
#include "service/bundle/trust.h"
#include "service/fast_hash.h"
#include "service/model_image.h"

namespace service::bundle {

// Hashes a file's bytes while they arrive, so that the disk goes on meanwhile.
class ArrivingHash final : public Arrival {
 public:
  Result<void> on_bytes(std::span<Byte> whole, u64 bytes) override;
  // Hashes the rest of a file that lies in memory, and returns the digest. Returns kCancelled when
  // `watcher`, which may be null, stops it. Call once.
  Result<crypto::Sha256Digest> finish(std::span<const Byte> whole, ProgressSink* watcher);

 private:
  crypto::Sha256By sha_ = fast_sha256();
  u64 done_ = 0;
};

class Loading;

// Checks each chunk of a model against its list while the rest is still being read, and gives what
// is right to `next` (null: nobody), which may rewrite it.
class CheckedArrival final : public Arrival {
 public:
  CheckedArrival(const ChunkList& list, Loading& loading, Arrival* next)
      : list_(list), loading_(loading), next_(next) {}
  Result<void> on_bytes(std::span<Byte> whole, u64 bytes) override;
  // Checks the rest of a file that lies in memory. Returns kCancelled when `watcher`, which may be
  // null, stops it.
  Result<void> finish(std::span<const Byte> whole, ProgressSink* watcher);

 private:
  Result<void> check(std::span<const Byte> whole, u64 end);

  const ChunkList& list_;
  Loading& loading_;
  Arrival* next_;
  u64 checked_ = 0;     // chunks
  bool wrong_ = false;  // and verify= lets that pass
};

class Loading {
 public:
  // Reads and judges the manifest, if the model is of a bundle. Returns kPermission or kCorrupt if
  // verify= forbids the load, and has logged why.
  static Result<Loading> begin(const ModelFile& file);

  // If false, the bytes need no check.
  bool checks() const { return bundle_.has_value(); }
  u64 wanted_bytes(u32 part) const { return payload(part).bytes; }
  // Judges a part by what was found of it. A wrong one is kCorrupt, unless verify= lets it pass.
  Result<void> judge_size(u32 part, u64 bytes);
  Result<void> judge_digest(u32 part, const crypto::Sha256Digest& digest);
  // Reads the list of the chunks of a part, if its manifest has one. Without a list, the digest of
  // the whole part decides. A wrong list is kCorrupt, unless verify= lets it pass.
  Result<std::optional<ChunkList>> chunks_of(u32 part);
  Result<void> judge_chunk(u64 index);  // the chunk of that number is not as the list says
  // Logs what the model is worth and returns it, when all parts are there.
  Verified end(const ModelFile& file);

 private:
  const Payload& payload(u32 part) const {
    ASSERT(bundle_.has_value());
    return part == 0 ? bundle_->manifest.model : bundle_->manifest.tokenizer;
  }
  Result<void> mismatch(Cause cause, const char* reason);

  const ModelFile* file_ = nullptr;  // of the caller, who loads it
  std::optional<Bundle> bundle_;
  Judgement judgement_;
  bool damaged_ = false;
};

}  // namespace service::bundle
