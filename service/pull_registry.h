// SPDX-License-Identifier: GPL-2.0-or-later
// Reads what registries of models say about their files. Pure; allocates.
#pragma once

#include "kernel/base/containers.h"
#include "kernel/crypto/sha256.h"

namespace service {

// Finds the layer with the weights in a manifest of Ollama's registry. Layers that Marrow does not
// use are passed over.
struct WeightsLayer {
  crypto::Sha256Digest sha256{};
  u64 bytes = 0;
};
Result<WeightsLayer> find_weights(std::string_view manifest);

// Finds a file in the list of a Hugging Face repository (`/api/models/R/tree/main`). `tag` is the
// end of its name before ".gguf", such as "Q4_K_M", or the file's whole name; "" takes the one that
// most people want. Files that accompany models (mmproj) are passed over.
struct ListedFile {
  String path;  // in the repository
  crypto::Sha256Digest sha256{};
  u64 bytes = 0;
};
Result<ListedFile> find_listed(std::string_view list, std::string_view tag);

// Returns the token in the answer of a token server.
Result<String> find_token(std::string_view answer);

// Reads 64 hexadecimal digits, in quotes or behind "sha256:" or bare. Returns false for anything
// else.
bool read_sha256(std::string_view text, crypto::Sha256Digest& out);

}  // namespace service
