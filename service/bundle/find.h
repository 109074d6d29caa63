// SPDX-License-Identifier: GPL-2.0-or-later
// Finds bundles: /models/NAME/GENERATION/manifest.toml with its files. For threads of CPU 0; waits
// for disks.
#pragma once

#include "service/bundle/manifest.h"
#include "service/model_store.h"

namespace service::bundle {

// A manifest and the text that it looks at. It can be moved, since the text stays where it is.
struct Bundle {
  String text;
  Manifest manifest;
};

// The name of the file that marks a generation as incomplete until its manifest is there.
constexpr std::string_view kPartialName = "partial";

// Reads the manifest of a folder, which must be that of the folder's name and generation. Returns
// kNotFound without one, kCorrupt with the reason for one that is malformed.
Result<Bundle> read_bundle(std::string_view folder);

// Describes the bundle in a folder NAME/GENERATION as a model, without reading its payload. Logs
// why a generation is left out, once for each reason.
Result<ModelFile> describe_bundle(std::string_view folder);

// Adds all generations of all bundles in a folder of bundles, the newest of each first.
Result<void> find_bundles(std::string_view models, Vector<ModelFile>& out,
                          Vector<BrokenModel>* broken);

// Returns the model that `path` means if it is a file of a bundle, a generation's folder or the
// folder of a bundle, and kNotFound if it is none of these.
Result<ModelFile> bundle_at(std::string_view path);

// Returns the newest generation below that of `file`, in its folder or on any disk, or kNotFound.
Result<ModelFile> older_generation(const ModelFile& file);

// Returns the number that a folder's name is, from 1; 0 for any other name.
u64 generation_of(std::string_view name);

// Why a generation is not loaded, in the words of the log.
enum class Cause : u8 {
  kManifest,
  kSignature,
  kUnsigned,
  kUnknownKey,
  kExpired,
  kRevokedKey,
  kRevokedFile,
  kModel,
  kTokenizer,
  kChunks
};
void log_rejection(const ModelFile& file, Cause cause, std::string_view reason);

}  // namespace service::bundle
