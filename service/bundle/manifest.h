// SPDX-License-Identifier: GPL-2.0-or-later
// Reads manifest.toml, which says what a bundle's files are, and finds the part of it that is
// signed. Pure: nothing is allocated, read or logged. Any context.
#pragma once

#include <optional>
#include <string_view>

#include "service/bundle/signed_text.h"

namespace service::bundle {

constexpr std::string_view kKernelFormat = "kernel";
constexpr usize kMostNameBytes = 255;
constexpr std::string_view kManifestName = "manifest.toml";
constexpr u64 kChunkBytes = kMiB;                            // of the list of a file's chunks
constexpr std::string_view kChunkListName = "model.chunks";  // beside the model

// One file of a bundle.
struct Payload {
  std::string_view path;  // a bare file name
  crypto::Sha256Digest sha256{};
  u64 bytes = 0;                         // 0: the manifest has no such file
  bool has_chunks = false;               // there is a list of SHA-256 of each MiB
  crypto::Sha256Digest chunks_sha256{};  // of that list
  bool exists() const { return bytes > 0; }
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
  Signatures signatures;
};

// Returns kCorrupt with the reason if the text is not a manifest.
Result<Manifest> parse_manifest(std::string_view text);

// Returns null if `name` may be the name of a bundle or of one of its files, or what is wrong with
// it: no folder, no way out of the folder, nothing that a terminal would obey.
const char* name_fault(std::string_view name);

}  // namespace service::bundle
