// SPDX-License-Identifier: GPL-2.0-or-later
// Watches over one load: decides by verify= whether a model may be loaded, and checks the bytes of
// a bundle in memory, before the engine sees them. What the disk has later does not matter.
// Used on the thread that loads.
#pragma once

#include <optional>

#include "service/bundle/find.h"
#include "service/bundle/trust.h"
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
  crypto::Sha256 sha_;
  u64 done_ = 0;
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
  // Logs what the model is worth and returns it, when all parts are there.
  Verified end(const ModelFile& file);

 private:
  const Payload& payload(u32 part) const {
    ASSERT(bundle_.has_value());
    return part == 0 ? bundle_->manifest.model : bundle_->manifest.tokenizer;
  }
  Result<void> mismatch(u32 part, const char* reason);

  const ModelFile* file_ = nullptr;  // of the caller, who loads it
  std::optional<Bundle> bundle_;
  Judgement judgement_;
  bool damaged_ = false;
};

void forget_epochs();  // for tests: as after a restart

}  // namespace service::bundle
