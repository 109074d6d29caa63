// SPDX-License-Identifier: GPL-2.0-or-later
// Applies verify= to one load.
#include "service/bundle/loading.h"

#include "kernel/base/text.h"
#include "kernel/log.h"
#include "kernel/sched/thread.h"

namespace service::bundle {
namespace {

constexpr usize kPieceBytes = kMiB;  // some milliseconds of one CPU

constexpr const char* kRefused =
    "verify=require loads signed bundles only (`help bundle` says how to make one)";

// The newest security_epoch of each bundle that was loaded since the machine was started.
struct Epoch {
  String name;
  u64 epoch;
};
Vector<Epoch>& epochs() {
  static constinit Vector<Epoch> all;
  return all;
}

u64 epoch_of(std::string_view name) {
  for (const Epoch& row : epochs())
    if (row.name.view() == name) return row.epoch;
  return 0;
}

Result<void> raise_epoch(std::string_view name, u64 epoch) {
  for (Epoch& row : epochs())
    if (row.name.view() == name) {
      row.epoch = std::max(row.epoch, epoch);
      return {};
    }
  return epochs().push_back({TRY(String::from(name)), epoch});
}

Cause cause_of(Finding finding) {
  constexpr Cause kCauses[] = {Cause::kManifest, Cause::kUnknownKey, Cause::kUnsigned,
                               Cause::kExpired, Cause::kSignature};
  return kCauses[static_cast<usize>(finding)];
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

}  // namespace

void forget_epochs() {
  epochs() = {};
}

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

// ---- judging ---------------------------------------------------------------------------------

Result<Loading> Loading::begin(const ModelFile& file) {
  Loading loading;
  loading.file_ = &file;
  if (file.generation == 0) {
    TRY(judge_file(file));
    return loading;
  }
  std::span<const TrustedKey> keys = trusted_keys();
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
  loading.judgement_ = TRY(judge(manifest, keys, times_now()));
  Judgement& judged = loading.judgement_;
  if (judged.finding == Finding::kGood && manifest.security_epoch < epoch_of(manifest.name))
    judged = {Finding::kExpired, judged.key,
              "its security_epoch is lower than one that was loaded since the start"};
  Mode mode = verify_mode();
  if (!may_load(mode, judged.finding)) {
    log_rejection(file, cause_of(judged.finding), judged.reason);
    return fail(judged.finding == Finding::kBad ? Errc::kCorrupt : Errc::kPermission,
                judged.finding == Finding::kBad ? judged.reason : kRefused);
  }
  bool loud = mode == Mode::kOff || !keys.empty();
  if (judged.finding != Finding::kGood && loud)
    log::warn("bundle", "{} generation {} is loaded all the same, by verify=: {}", file.name,
              file.generation, judged.reason);
  loading.bundle_ = std::move(*bundle);
  return loading;
}

// With verify=off a wrong part is only told.
Result<void> Loading::mismatch(u32 part, const char* reason) {
  damaged_ = true;
  if (may_load(verify_mode(), Finding::kBad)) {
    log::warn("bundle", "{} generation {} is loaded with verify=off although {}", file_->name,
              file_->generation, reason);
    return {};
  }
  log_rejection(*file_, part == 0 ? Cause::kModel : Cause::kTokenizer, reason);
  return fail(Errc::kCorrupt, reason);
}

Result<void> Loading::judge_size(u32 part, u64 bytes) {
  if (bytes == wanted_bytes(part)) return {};
  return mismatch(
      part, "a file is missing or has another size than its manifest says: copy the bundle again");
}

Result<void> Loading::judge_digest(u32 part, const crypto::Sha256Digest& digest) {
  if (digest == payload(part).sha256) return {};
  return mismatch(part, "a file's SHA-256 is not that of its manifest: copy the bundle again");
}

Verified Loading::end(const ModelFile& file) {
  if (!bundle_.has_value() || damaged_ || judgement_.finding == Finding::kBad) return {};
  const Manifest& manifest = bundle_->manifest;
  bool is_signed = judgement_.finding == Finding::kGood;
  Verified verified{is_signed ? Verified::By::kSignature : Verified::By::kHash, judgement_.key};
  log::info("bundle", "bundle {} generation {} verified ({})", file.name, file.generation,
            is_signed ? "ed25519+sha256" : "sha256");
  // Without memory for it, an older epoch may be loaded again until the next start.
  if (is_signed) static_cast<void>(raise_epoch(manifest.name, manifest.security_epoch));
  return verified;
}

}  // namespace service::bundle
