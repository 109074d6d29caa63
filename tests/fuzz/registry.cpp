// SPDX-License-Identifier: GPL-2.0-or-later
// Reads arbitrary bytes as a manifest of Ollama's registry. A layer that is found has a size, and
// its digest stands in the text.
#include "kernel/base/hex.h"
#include "kernel/base/text.h"
#include "service/pull_source.h"

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  Result<service::WeightsLayer> layer = service::find_weights(text);
  if (!layer.has_value()) return 0;
  ASSERT(layer->bytes > 0);
  // A digit may be written as an escape of JSON.
  String digest = MUST(base::hex_text(layer->sha256));
  ASSERT(text.contains('\\') || base::contains_ignoring_case(text, digest.view()));
  return 0;
}
