// SPDX-License-Identifier: GPL-2.0-or-later
// Makes bundles: keys, manifests and signatures. For threads of CPU 0; waits for disks.
#pragma once

#include "service/bundle/trust.h"
#include "service/progress_sink.h"

namespace service::bundle {

// Makes a key pair: 32 secret bytes that nobody else can read, in a file that must not exist, and
// the public key's 32 bytes. Returns the public key's id.
Result<KeyId> make_keys(std::string_view seed_path, std::string_view public_path);

// One file of a bundle that is being made.
struct MadeFile {
  const char* table;      // "model" or "tokenizer"
  std::string_view path;  // a bare name
  crypto::Sha256Digest sha256{};
  u64 bytes = 0;
  std::optional<crypto::Sha256Digest> chunks_sha256 = {};  // of its list of chunks, if there is one
};
// Returns the text of a manifest without signatures. `format` is "gguf" or "llama2c".
Result<String> manifest_text(std::string_view name, u64 generation, std::string_view format,
                             std::span<const MadeFile> files);

// Writes manifest.toml into a folder NAME/GENERATION for the files model.gguf, or model.bin and
// tokenizer.bin, that lie there. Returns kInvalidArgument if there is a manifest already.
Result<void> make_manifest(std::string_view folder, ProgressSink* watcher);

Result<void> write_text(std::string_view path, std::string_view text);

// Returns the text of a manifest or a trust file with one more signature. It replaces an earlier
// one by the same key; those that name other keys stay.
Result<String> sign_manifest(std::string_view text, crypto::Ed25519Seed seed);
// Does that with the key in a file, and returns the key's id in `id`.
Result<String> sign_text(std::string_view text, std::string_view seed_path, KeyId& id);
// Does that with the manifest in a folder and the key in a file. Returns the key's id.
Result<KeyId> sign_bundle(std::string_view folder, std::string_view seed_path);

// Judges a bundle, by the machine's own keys if there are none in `keys`, and hashes its files.
// Returns kCorrupt if a byte is wrong or if it is revoked.
Result<Judgement> check_bundle(std::string_view folder, std::span<const TrustedKey> keys,
                               ProgressSink* watcher);

}  // namespace service::bundle
