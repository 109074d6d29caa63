// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as a llama2.c checkpoint with a tokenizer behind it; what is accepted is read through.
#include "ai/gguf/llama2c.h"

#include <vector>

#include "tests/hosted/test_platform.h"

namespace {
volatile u64 sink;
}

extern "C" int LLVMFuzzerTestOneInput(const Byte* data, usize size) {
  static TestPlatform& platform = *new TestPlatform;
  platform.log_text.clear();
  std::vector<Byte> bytes(data, data + size);
  sink = ai::is_llama2c(bytes);
  auto file = ai::parse_llama2c(bytes, {}, platform);
  if (!file.has_value()) return 0;
  for (const ai::GgufTensor& tensor : (*file)->tensors())
    sink = tensor.view.data[0] + tensor.view.data.back();
  auto pieces = (*file)->get_strings("tokenizer.ggml.tokens");
  for (usize i = 0; pieces.has_value() && i < pieces->size(); i++) sink = (*pieces)[i].size();
  return 0;
}
