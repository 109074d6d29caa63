// SPDX-License-Identifier: GPL-2.0-or-later
// Reads manifest.toml, which says what a bundle's files are, and finds the part of it that is
// signed. Pure: nothing is allocated, read or logged. Any context.
//
// The text is a subset of TOML: [table] lines, `key = "text"` or `key = number`, # comments. There
// are no escapes, arrays or texts of several lines. Keys and tables that are unknown are ignored,
// so that a newer manifest can be read; keys that occur twice are not.
#pragma once

#include <optional>
#include <string_view>

#include "kernel/base/containers.h"
#include "kernel/crypto/ed25519.h"
#include "kernel/crypto/sha256.h"

namespace service::bundle {

constexpr std::string_view kKernelFormat = "kernel";
constexpr usize kMostManifestBytes = 4096;
constexpr usize kMostSignatures = 8;
constexpr usize kMostNameBytes = 255;
constexpr std::string_view kManifestName = "manifest.toml";
constexpr u64 kChunkBytes = kMiB;                            // of the list of a file's chunks
constexpr std::string_view kChunkListName = "model.chunks";  // beside the model

// The first 8 bytes of SHA-256 of a public key.
using KeyId = std::array<Byte, 8>;
KeyId key_id(const crypto::Ed25519PublicKey& key);

// One file of a bundle.
struct Payload {
  std::string_view path;  // a bare file name
  crypto::Sha256Digest sha256{};
  u64 bytes = 0;                         // 0: the manifest has no such file
  bool has_chunks = false;               // there is a list of SHA-256 of each MiB
  crypto::Sha256Digest chunks_sha256{};  // of that list
  bool exists() const { return bytes > 0; }
};

struct Signature {
  bool named = false;  // if not, it is the table [signature], which does not say whose it is
  KeyId key{};
  crypto::Ed25519Signature bytes{};
};

// Its texts are views of the text that was parsed.
struct Manifest {
  std::string_view name, format;  // format: "gguf", "llama2c" or "kernel"
  u64 generation = 0;             // of a model, from 1
  u64 format_version = 1;
  u64 security_epoch = 0;
  u64 not_before = 0;          // Unix seconds; 0 = at all times
  std::optional<u64> expires;  // Unix seconds
  Payload model, tokenizer;    // a model has at least the first
  // The manifest of a kernel has these instead of a generation and a model.
  std::string_view version, machine;
  Payload kernel;
  std::string_view signed_part;  // every byte before the line [signature], or all of them
  StaticVector<Signature, kMostSignatures> signatures;
};

// Returns kCorrupt with the reason if the text is not a manifest. Accepts no second spelling of a
// signature, and nothing behind the signed part but signatures: a text with another bit is refused
// here, or its signature does not fit.
Result<Manifest> parse_manifest(std::string_view text);

// Returns null if `name` may be the name of a bundle or of one of its files, or what is wrong with
// it: no folder, no way out of the folder, nothing that a terminal would obey.
const char* name_fault(std::string_view name);

}  // namespace service::bundle
