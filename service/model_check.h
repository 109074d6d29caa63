// SPDX-License-Identifier: GPL-2.0-or-later
// Checks whether a model is the one that the image or the bundle was made with: compares SHA-256 of
// its files with the bundle's manifest, or with the one that the loader puts at /boot/manifest.json
// (scripts/make_manifest.py). Any thread of CPU 0; hashing waits for disks and breathes.
#pragma once

#include "kernel/crypto/sha256.h"
#include "service/model_store.h"
#include "service/progress_sink.h"

namespace service {

enum class Trust : u8 {
  kNoHash,     // no manifest has its hash
  kUnchecked,  // the manifest has its hash, but the files have not been hashed
  kRight,
  kWrong,
};
const char* trust_name(Trust trust);

// Returns what is known now, without reading the model.
Trust trust_of(const ModelFile& file);

// Returns the SHA-256 in hex that part `index` of a model, which lies at `path`, must have by its
// bundle's manifest or by the boot image's. Returns "" if neither has it.
Result<String> known_hash(const ModelFile& file, u32 index, std::string_view path);

struct ModelDigest {
  String hex;  // of the first part, or of the only file
  Trust trust = Trust::kNoHash;
};
// Hashes every part. For a loaded model this hashes the bytes in memory, put back into the order of
// the file, so a flipped bit shows. Returns kCancelled when `watcher` stops it.
Result<ModelDigest> verify_model(const ModelFile& file, ProgressSink& watcher);

}  // namespace service
