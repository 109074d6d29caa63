// SPDX-License-Identifier: GPL-2.0-or-later
// Is a model the one that the image was made with? SHA-256 of its files against the manifest that
// the loader brings as /boot/manifest.json (scripts/make_manifest.py).
#pragma once

#include "kernel/crypto/sha256.h"
#include "service/model_store.h"
#include "service/progress_sink.h"

namespace service {

enum class Trust : u8 {
  kNoHash,     // no manifest tells its hash
  kUnchecked,  // one does, but nobody has compared
  kRight,
  kWrong,
};
const char* trust_name(Trust trust);

// What is known now, without reading the model.
Trust trust_of(const ModelFile& file);

struct ModelDigest {
  String hex;  // of part 1, or of the only one
  Trust trust = Trust::kNoHash;
};
// Hashes every part: of a loaded model what lies in memory, in the order of its file, so that a
// flipped bit shows. kCancelled when `watcher` stops it.
Result<ModelDigest> verify_model(const ModelFile& file, ProgressSink& watcher);

// For the option verify=: the bytes as they were read. kCorrupt when they are not those of the
// manifest; nothing happens when that does not know them.
Result<void> verify_bytes(std::string_view path, std::span<const Byte> bytes);

}  // namespace service
