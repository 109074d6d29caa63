// SPDX-License-Identifier: GPL-2.0-or-later
// Reads arbitrary bytes as a manifest of Ollama's registry, as the list of a repository, and as the
// answer of a token server. What is found has a size, and its digest stands in the text.
#include "kernel/base/hex.h"
#include "kernel/base/text.h"
#include "service/pull_registry.h"

namespace {

void expect_digest(std::string_view text, const crypto::Sha256Digest& digest) {
  // A digit may be written as an escape of JSON.
  String hex = MUST(base::hex_text(digest));
  ASSERT(text.contains('\\') || base::contains_ignoring_case(text, hex.view()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  Result<service::WeightsLayer> layer = service::find_weights(text);
  if (layer.has_value()) {
    ASSERT(layer->bytes > 0);
    expect_digest(text, layer->sha256);
  }
  for (std::string_view tag : {"", "Q4_K_M", "a"}) {
    Result<service::ListedFile> file = service::find_listed(text, tag);
    if (!file.has_value()) continue;
    ASSERT(file->bytes > 0 && file->path.size() > 5);
    expect_digest(text, file->sha256);
  }
  Result<String> token = service::find_token(text);
  if (token.has_value())
    for (char c : token->view()) ASSERT(c > 0x20 && c < 0x7f);
  return 0;
}
