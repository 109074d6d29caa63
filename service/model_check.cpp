// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the manifest, hashes model files, and remembers the results.
#include "service/model_check.h"

#include "ai/gguf/pack.h"
#include "kernel/base/hex.h"
#include "kernel/base/json.h"
#include "kernel/base/text.h"
#include "kernel/log.h"
#include "kernel/sched/thread.h"
#include "service/bundle/find.h"
#include "service/engine_host.h"
#include "service/fast_hash.h"

namespace service {
namespace {

constexpr std::string_view kManifest = "/boot/manifest.json";
constexpr usize kPieceBytes = kMiB;
constexpr const char* kTrustNames[] = {"no hash", "unverified", "verified", "WRONG HASH"};

// The result of a check, by the model's path.
struct Finding {
  String path;
  Trust trust;
};
Vector<Finding>& findings() {
  static constinit Vector<Finding> all;
  return all;
}

void remember(std::string_view path, Trust trust) {
  for (Finding& finding : findings())
    if (finding.path.view() == path) {
      finding.trust = trust;
      return;
    }
  Result<String> copy = String::from(path);
  // If memory runs out, the model stays "not checked".
  if (copy.has_value()) static_cast<void>(findings().push_back({std::move(*copy), trust}));
}

// Returns the image's hash of the model with this file name, or "" if it has none.
Result<String> image_hash(std::string_view path) {
  Result<String> text = fs::read_text(kManifest);
  if (!text.has_value()) return String();
  json::Document document = TRY(json::Document::parse(text->view()));
  for (json::Value model : document.root().find("models").elements())
    if (base::base_name(model.find("file").text()) == base::base_name(path))
      return String::from(model.find("sha256").text());
  return String();
}

// Computes SHA-256 of the bytes written to it, and reports progress.
class Hasher final : public ai::ByteSink {
 public:
  Hasher(ProgressSink& watcher, u64 total) : watcher_(watcher), total_(total) {}
  Result<void> write(std::span<const Byte> bytes) override {
    sha_.update(bytes);
    done_ += bytes.size();
    watcher_.on_progress(done_, total_);
    return watcher_.stopped() ? fail(Errc::kCancelled, "stopped") : Result<void>();
  }
  // Returns the digest of the bytes since the last call, in hex.
  Result<String> take() {
    crypto::Sha256Digest digest = sha_.finish();
    sha_ = fast_sha256();
    return base::hex_text(digest);
  }

 private:
  ProgressSink& watcher_;
  u64 total_, done_ = 0;
  crypto::Sha256By sha_ = fast_sha256();
};

Result<void> hash_file(std::string_view path, Hasher& hasher) {
  auto file = TRY(fs::open(path));
  Vector<Byte> piece;
  TRY(piece.resize(kPieceBytes));
  for (u64 at = 0; at < file->size();) {
    usize read = TRY(file->read_at(at, piece.view()));
    if (read == 0)
      return fail(Errc::kCorrupt,
                  "the file is shorter than its directory entry says: copy it again");
    TRY(hasher.write(piece.view().first(read)));
    at += read;
    sched::yield();
  }
  return {};
}

Trust compare(std::string_view hex, std::string_view known) {
  if (known.empty()) return Trust::kNoHash;
  return hex == known ? Trust::kRight : Trust::kWrong;
}

// Returns the worse result. A model in several parts is as trustworthy as its worst part.
Trust worse(Trust a, Trust b) {
  if (a == Trust::kWrong || b == Trust::kWrong) return Trust::kWrong;
  return std::min(a, b);
}

}  // namespace

Result<String> known_hash(const ModelFile& file, u32 index, std::string_view path) {
  if (file.generation == 0) return image_hash(path);
  bundle::Bundle bundle = TRY(bundle::read_bundle(file.folder.view()));
  const bundle::Manifest& manifest = bundle.manifest;
  if (index > 0 && !manifest.tokenizer.exists()) return String();
  return base::hex_text(index == 0 ? manifest.model.sha256 : manifest.tokenizer.sha256);
}

const char* trust_name(Trust trust) {
  return kTrustNames[static_cast<usize>(trust)];
}

Trust trust_of(const ModelFile& file) {
  for (const Finding& finding : findings())
    if (finding.path.view() == file.path.view()) return finding.trust;
  if (file.generation > 0) return Trust::kUnchecked;
  Result<String> known = image_hash(file.path.view());
  return known.has_value() && !known->empty() ? Trust::kUnchecked : Trust::kNoHash;
}

Result<ModelDigest> verify_model(const ModelFile& file, ProgressSink& watcher) {
  Result<ai::Lease> loaded = engine_host().lease_of(file, kVerifyHolder);
  Hasher hasher(watcher, file.bytes);
  ModelDigest digest;
  digest.trust = Trust::kRight;
  for (u32 i = 0; i < file.parts; i++) {
    String path = TRY(part_path(file, i));
    Result<void> done = loaded.has_value() ? engine_host().write_original(*loaded, i, hasher)
                                           : hash_file(path.view(), hasher);
    if (!done.has_value()) return std::unexpected(done.error());
    String hex = TRY(hasher.take());
    String known = TRY(known_hash(file, i, path.view()));
    digest.trust = worse(digest.trust, compare(hex.view(), known.view()));
    if (i == 0) digest.hex = std::move(hex);
  }
  remember(file.path.view(), digest.trust);
  return digest;
}

}  // namespace service
