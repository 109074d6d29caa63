// SPDX-License-Identifier: GPL-2.0-or-later
// Applies verify= to one load.
#include "service/bundle/loading.h"

#include "kernel/base/text.h"
#include "kernel/log.h"
#include "kernel/sched/thread.h"
#include "service/bundle/epochs.h"

namespace service::bundle {
namespace {

constexpr usize kPieceBytes = kMiB;  // some milliseconds of one CPU

constexpr const char* kRefused =
    "verify=require loads signed bundles only (`help bundle` says how to make one)";

Cause cause_of(Finding finding) {
  constexpr Cause kCauses[] = {Cause::kManifest,   Cause::kUnknownKey, Cause::kUnsigned,
                               Cause::kExpired,    Cause::kSignature,  Cause::kRevokedKey,
                               Cause::kRevokedFile};
  return kCauses[static_cast<usize>(finding)];
}

Cause cause_of(u32 part) {
  return part == 0 ? Cause::kModel : Cause::kTokenizer;
}

// A file that is part of no bundle.
Result<void> judge_file(const ModelFile& file) {
  Mode mode = verify_mode();
  if (!may_load(mode, Finding::kUnsigned)) {
    log::error("bundle", "{} is refused: it is in no bundle, and verify=require", file.path);
    return fail(Errc::kPermission, kRefused);
  }
  // Where nobody signs models, an unsigned one is nothing to talk about.
  if (mode == Mode::kPrefer && !trusted_keys().empty())
    log::warn("bundle", "{} is loaded unsigned and unverified: it is in no bundle", file.path);
  if (mode == Mode::kOff) log::warn("bundle", "{} is loaded unverified: verify=off", file.path);
  return {};
}

// Looks beside a bundle, its generations and all bundles: a revocation may have come with any.
void look_for_trust_beside(std::string_view folder) {
  for (u32 i = 0; i < 3 && !folder.empty(); i++) {
    look_for_trust(folder);
    usize slash = folder.rfind('/');
    folder = folder.substr(0, slash == folder.npos ? 0 : slash);
  }
}

Result<Judgement> judge_here(const Manifest& manifest) {
  u64 least = TRY(epoch_of(manifest.name));  // waits, so it comes first
  Judgement judged = TRY(judge(manifest, trusted_keys(), times_now()));
  if (judged.finding != Finding::kGood) return judged;
  if (manifest.security_epoch < epoch_floor())
    return Judgement{Finding::kExpired, judged.key,
                     "its security_epoch is below the epoch_floor of trust.toml: get a newer "
                     "generation"};
  if (manifest.security_epoch < least)
    return Judgement{Finding::kExpired, judged.key,
                     "its security_epoch is lower than one that this machine has loaded (`model "
                     "accept-older NAME`)"};
  return judged;
}

}  // namespace

// ---- hashing ---------------------------------------------------------------------------------

Result<void> ArrivingHash::on_bytes(std::span<Byte> whole, u64 bytes) {
  for (; done_ < bytes; sched::yield()) {
    usize piece = std::min<u64>(kPieceBytes, bytes - done_);
    sha_.update(whole.subspan(done_, piece));
    done_ += piece;
  }
  return {};
}

Result<crypto::Sha256Digest> ArrivingHash::finish(std::span<const Byte> whole,
                                                  ProgressSink* watcher) {
  for (; done_ < whole.size(); sched::yield()) {
    usize piece = std::min<u64>(kPieceBytes, whole.size() - done_);
    sha_.update(whole.subspan(done_, piece));
    done_ += piece;
    if (watcher != nullptr && watcher->stopped()) return fail(Errc::kCancelled, "stopped");
  }
  return sha_.finish();
}

Result<void> CheckedArrival::check(std::span<const Byte> whole, u64 end) {
  if (!wrong_ && end > checked_) {
    std::optional<u64> wrong = list_.find_wrong(whole, checked_, end);
    wrong_ = wrong.has_value();
    if (wrong_) TRY(loading_.judge_chunk(*wrong));
  }
  checked_ = end;
  return {};
}

Result<void> CheckedArrival::on_bytes(std::span<Byte> whole, u64 bytes) {
  u64 end = bytes == whole.size() ? chunk_count(bytes) : bytes / kChunkBytes;
  if (end == checked_) return {};
  TRY(check(whole, end));
  return next_ == nullptr ? Result<void>{}
                          : next_->on_bytes(whole, std::min<u64>(end * kChunkBytes, bytes));
}

Result<void> CheckedArrival::finish(std::span<const Byte> whole, ProgressSink* watcher) {
  constexpr u64 kAtOnce = 16;  // chunks between two looks at the watcher
  for (u64 all = chunk_count(whole.size()); checked_ < all; sched::yield()) {
    TRY(check(whole, std::min(all, checked_ + kAtOnce)));
    if (watcher != nullptr && watcher->stopped()) return fail(Errc::kCancelled, "stopped");
  }
  return {};
}

// ---- judging ---------------------------------------------------------------------------------

Result<Loading> Loading::begin(const ModelFile& file) {
  Loading loading;
  loading.file_ = &file;
  if (file.generation == 0) {
    TRY(judge_file(file));
    return loading;
  }
  look_for_trust_beside(file.folder.view());
  Result<Bundle> bundle = read_bundle(file.folder.view());
  if (!bundle.has_value()) {
    if (bundle.error().code != Errc::kOutOfMemory)
      log_rejection(file, Cause::kManifest, bundle.error().what);
    return std::unexpected(bundle.error());
  }
  const Manifest& manifest = bundle->manifest;
  // The file was described from a manifest that may have been replaced since.
  bool same =
      base::base_name(file.path.view()) == manifest.model.path &&
      (file.parts == 1 || (manifest.tokenizer.exists() &&
                           base::base_name(file.tokenizer.view()) == manifest.tokenizer.path));
  if (!same) return fail(Errc::kBusy, "the bundle was just replaced: try again");
  loading.judgement_ = TRY(judge_here(manifest));
  Judgement& judged = loading.judgement_;
  Mode mode = verify_mode();
  if (!may_load(mode, judged.finding)) {
    log_rejection(file, cause_of(judged.finding), judged.reason);
    bool unproved = judged.finding < Finding::kBad;
    return fail(judged.finding == Finding::kBad ? Errc::kCorrupt : Errc::kPermission,
                unproved ? kRefused : judged.reason);
  }
  bool loud = mode == Mode::kOff || !trusted_keys().empty();
  if (judged.finding != Finding::kGood && loud)
    log::warn("bundle", "{} generation {} is loaded all the same, by verify=: {}", file.name,
              file.generation, judged.reason);
  loading.bundle_ = std::move(*bundle);
  return loading;
}

// With verify=off a wrong part is only told.
Result<void> Loading::mismatch(Cause cause, const char* reason) {
  damaged_ = true;
  if (may_load(verify_mode(), Finding::kBad)) {
    log::warn("bundle", "{} generation {} is loaded with verify=off although {}", file_->name,
              file_->generation, reason);
    return {};
  }
  log_rejection(*file_, cause, reason);
  return fail(Errc::kCorrupt, reason);
}

Result<void> Loading::judge_size(u32 part, u64 bytes) {
  if (bytes == wanted_bytes(part)) return {};
  return mismatch(
      cause_of(part),
      "a file is missing or has another size than its manifest says: copy the bundle again");
}

Result<void> Loading::judge_digest(u32 part, const crypto::Sha256Digest& digest) {
  if (digest == payload(part).sha256) return {};
  return mismatch(cause_of(part),
                  "a file's SHA-256 is not that of its manifest: copy the bundle again");
}

Result<std::optional<ChunkList>> Loading::chunks_of(u32 part) {
  if (!payload(part).has_chunks) return std::nullopt;
  Result<ChunkList> list = ChunkList::read(file_->folder.view(), payload(part));
  if (list.has_value()) return std::optional(std::move(*list));
  // The hash of the whole decides then, as on machines that know no lists.
  if (list.error().code == Errc::kNotFound) return std::nullopt;
  if (list.error().code != Errc::kCorrupt) return std::unexpected(list.error());
  TRY(mismatch(Cause::kChunks, list.error().what));
  return std::nullopt;
}

Result<void> Loading::judge_chunk(u64 index) {
  log::warn("bundle", "{}: MiB {} of the model is not as its list says", file_->folder, index);
  return mismatch(Cause::kModel,
                  "a MiB of the model is not that of its list: copy the bundle again");
}

Verified Loading::end(const ModelFile& file) {
  if (!bundle_.has_value() || damaged_ || judgement_.finding >= Finding::kBad) return {};
  const Manifest& manifest = bundle_->manifest;
  bool is_signed = judgement_.finding == Finding::kGood;
  Verified verified{is_signed ? Verified::By::kSignature : Verified::By::kHash, judgement_.key};
  log::info("bundle", "bundle {} generation {} verified ({})", file.name, file.generation,
            is_signed ? "ed25519+sha256" : "sha256");
  if (!is_signed) return verified;
  Result<void> kept = raise_epoch(manifest.name, manifest.security_epoch);
  if (!kept.has_value())
    log::warn("bundle", "{}: its security_epoch is not kept: {}", file.name, kept.error());
  return verified;
}

}  // namespace service::bundle
