// SPDX-License-Identifier: GPL-2.0-or-later
// The default model against llama.cpp's greedy tokens (tests/goldens/smollm2-q4_1.greedy.txt).
// build/host/model_check runs all of them; here are the first, for the sanitizers are slow.
#include "kernel/base/test.h"
#include "tests/hosted/test_files.h"
#include "tests/hosted/test_model_runner.h"

TEST(models, smollm2_says_what_llama_cpp_says) {
  std::string bytes;
  std::string path = model_path("SmolLM2-135M-Instruct.Q4_1.gguf");
  if (path.empty() || !read_file(path, bytes)) return test.skip("the model is not here");
  TestPlatform platform(2);
  auto runner = ModelRunner::load({reinterpret_cast<const Byte*>(bytes.data()), bytes.size()},
                                  platform, {.kernels = "auto", .context = 64, .rows = 8});
  REQUIRE(runner.has_value());
  EXPECT_EQ((*runner)->model().params().layers, 30u);
  EXPECT_EQ((*runner)->model().params().kv_heads, 3u);
  const u32 prompt[] = {504, 3575, 282, 4649, 314};  // "The capital of France is"
  auto tokens = (*runner)->greedy(prompt, 4);
  REQUIRE(tokens.has_value());
  const u32 wanted[] = {7042, 30, 198, 198};  // " Paris.\n\n"
  for (u32 i = 0; i < 4; i++) EXPECT_EQ((*tokens)[i], wanted[i]);
}
