// SPDX-License-Identifier: GPL-2.0-or-later
// Tiny models with bytes of their header changed: loaded and, if that works, run for two tokens.
// Input: number of the model, then edits of three bytes: position (16 bits), value.
#include <cstring>

#include "tests/hosted/test_model_runner.h"
#include "tests/hosted/test_tiny_model.h"

extern "C" int LLVMFuzzerTestOneInput(const Byte* data, usize size) {
  static const std::vector<TinyModel>& models = *[] {
    auto* all = new std::vector<TinyModel>;
    for (const std::string& name : tiny_model_names()) {
      if (name.starts_with("quant-")) continue;  // slow, and their headers are llama's
      all->emplace_back();
      if (!make_tiny_model(name, all->back())) __builtin_trap();
    }
    return all;
  }();
  if (size == 0 || models.empty()) return 0;
  std::vector<Byte> file = models[data[0] % models.size()].file;
  for (usize i = 1; i + 3 <= size; i += 3) {
    usize at = data[i] | data[i + 1] << 8;
    if (at < file.size()) file[at] = data[i + 2];
  }
  static TestPlatform& platform = *new TestPlatform;
  platform.log_text.clear();
  platform.page_limit = 64 << 20;
  auto runner = ModelRunner::load(file, platform, {.context = 32, .rows = 2});
  if (!runner.has_value()) return 0;
  const u32 tokens[] = {1, 2};
  (void)(*runner)->run(tokens, true);
  return 0;
}
