// SPDX-License-Identifier: GPL-2.0-or-later
// Model files with numbers that cannot be, missing tensors, too little memory: an error or a model
// that works, never a crash, and nothing leaks.
#include <cstring>
#include <limits>

#include "ai/gguf/reader.h"
#include "ai/gguf/writer.h"
#include "ai/quant/types.h"
#include "arch/host/memory.h"
#include "kernel/base/test.h"
#include "tests/hosted/test_model_runner.h"
#include "tests/hosted/test_tiny_model.h"

namespace {

constexpr const char* kFamilies[] = {"llama", "gemma3",        "qwen2moe", "deepseek3-mla",
                                     "mamba", "phi3-longrope", "gpt2",     "bitnet-b1.58"};

// Loads and, when that works, runs two tokens. What comes out is not judged.
void try_model(const std::vector<Byte>& file, TestPlatform& platform) {
  platform.log_text.clear();
  auto runner = ModelRunner::load(file, platform, {.context = 32, .rows = 2});
  if (!runner.has_value()) return;
  const u32 tokens[] = {1, 2};
  (void)(*runner)->run(tokens, true);
}

usize offset_of_value(const TinyModel& tiny, const ai::GgufFile& file, usize i) {
  return static_cast<usize>(file.raw(i).data() - tiny.file.data());
}

}  // namespace

TEST(models_hostile, every_number_out_of_range) {
  constexpr u32 kIntegers[] = {0, 1, 3, 7, 64, 1000, 1u << 20, 0x7fffffff, 0x80000000, 0xffffffff};
  const float kReals[] = {0.0f,
                          -1.0f,
                          1e-38f,
                          1e38f,
                          std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()};
  for (const char* name : kFamilies) {
    TinyModel tiny;
    REQUIRE(make_tiny_model(name, tiny));
    TestPlatform platform;
    platform.page_limit = 256 << 20;
    auto file = MUST(ai::GgufFile::parse(tiny.file, platform));
    i64 before = host::live_allocations();
    for (usize i = 0; i < file->key_count(); i++) {
      usize at = offset_of_value(tiny, *file, i);
      bool integer = file->type(i) == ai::GgufType::kU32;
      if (!integer && file->type(i) != ai::GgufType::kF32) continue;
      for (usize v = 0; v < (integer ? std::size(kIntegers) : std::size(kReals)); v++) {
        TinyModel changed = tiny;
        std::memcpy(changed.file.data() + at,
                    integer ? static_cast<const void*>(&kIntegers[v]) : &kReals[v], 4);
        try_model(changed.file, platform);
      }
    }
    EXPECT_EQ(host::live_allocations(), before);
    EXPECT_EQ(platform.live_page_bytes(), u64{0});
  }
}

TEST(models_hostile, every_tensor_missing_is_named) {
  for (const char* name : kFamilies) {
    TinyModel tiny;
    REQUIRE(make_tiny_model(name, tiny));
    TestPlatform platform;
    auto file = MUST(ai::GgufFile::parse(tiny.file, platform));
    for (const ai::GgufTensor& tensor : file->tensors()) {
      TinyModel changed = tiny;
      usize at =
          static_cast<usize>(tensor.name.data() - reinterpret_cast<const char*>(tiny.file.data()));
      changed.file[at] = 'X';  // a name that nothing asks for
      platform.log_text.clear();
      auto runner = ModelRunner::load(changed.file, platform, {.context = 32, .rows = 2});
      EXPECT(!runner.has_value());
      EXPECT(platform.logged("model: ") || platform.logged("gguf: "));
    }
  }
}

TEST(models_hostile, unknown_architectures_are_refused_by_name) {
  TinyModel tiny;
  REQUIRE(make_tiny_model("llama", tiny));
  std::string_view text(reinterpret_cast<const char*>(tiny.file.data()), tiny.file.size());
  usize at = text.find("llama", text.find("general.architecture"));
  tiny.file[at] = 'x';
  TestPlatform platform;
  auto runner = ModelRunner::load(tiny.file, platform, {.context = 32, .rows = 2});
  REQUIRE(!runner.has_value());
  EXPECT(runner.error().code == Errc::kUnsupported);
  EXPECT(platform.logged("unknown architecture 'xlama'"));
  EXPECT(platform.logged("known are llama, qwen2"));
}

// A family refuses keys of computations that it does not implement; it does not ignore them.
TEST(models_hostile, a_key_that_changes_the_answer_is_not_overlooked) {
  struct Row {
    const char* family;
    const char* key;
    float value;
    bool refused;
  };
  constexpr Row kRows[] = {
      {"llama", "llama.attention.max_alibi_bias", 8.0f, true},
      {"llama", "llama.attention.max_alibi_bias", 0.0f, false},
      {"llama", "llama.residual_scale", 1.0f, false},
      {"llama", "llama.residual_scale", 0.5f, true},
      {"granite", "granite.attention.clamp_kqv", 8.0f, true},
      {"qwen2", "qwen2.final_logit_softcapping", 30.0f, true},
      {"gemma2", "gemma2.attention.temperature_scale", 0.1f, true},
      {"llama", "llama.something.else", 0.5f, false},
  };
  for (const Row& row : kRows) {
    TinyModel tiny;
    REQUIRE(make_tiny_model(row.family, tiny));
    change_header(
        tiny, [](std::string_view) { return true; },
        [&](ai::GgufWriter& out) { return out.add_f32(row.key, row.value); });
    TestPlatform platform;
    auto runner = ModelRunner::load(tiny.file, platform, {.context = 32, .rows = 2});
    EXPECT_EQ(runner.has_value(), !row.refused);
    if (row.refused) EXPECT(platform.logged(row.key));
  }
}

TEST(models_hostile, no_memory_at_every_allocation) {
  for (const char* name : {"llama", "deepseek3-mla", "mamba"}) {
    TinyModel tiny;
    REQUIRE(make_tiny_model(name, tiny));
    TestPlatform platform;
    i64 before = host::live_allocations();
    u32 failures = 0;
    for (u64 nth = 1; nth < 5000; nth++) {
      host::fail_allocation(nth);
      auto runner = ModelRunner::load(tiny.file, platform, {.context = 32, .rows = 2});
      host::fail_allocation(0);
      if (runner.has_value()) break;
      EXPECT(runner.error().code == Errc::kOutOfMemory);
      EXPECT_EQ(host::live_allocations(), before);
      EXPECT_EQ(platform.live_page_bytes(), u64{0});
      failures++;
    }
    EXPECT(failures > 10 && failures < 4000);
  }
}

TEST(models_hostile, a_step_allocates_nothing) {
  for (const char* name : kFamilies) {
    TinyModel tiny;
    REQUIRE(make_tiny_model(name, tiny));
    TestPlatform platform;
    auto runner = ModelRunner::load(tiny.file, platform, {.context = 32, .rows = 16});
    REQUIRE(runner.has_value());
    u64 before = host::allocation_count();
    REQUIRE((*runner)->run(tiny.tokens, true, 5).has_value());
    EXPECT_EQ(host::allocation_count(), before);
  }
}

TEST(models_hostile, numbers_that_are_not_finite_are_an_error) {
  TinyModel tiny;
  REQUIRE(make_tiny_model("llama", tiny));
  TestPlatform platform;
  auto file = MUST(ai::GgufFile::parse(tiny.file, platform));
  const ai::GgufTensor* tensor = MUST(file->tensor("blk.1.ffn_down.weight"));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(tiny.file.data() + tensor->offset, &nan, sizeof nan);
  auto runner = ModelRunner::load(tiny.file, platform, {.context = 32, .rows = 16});
  REQUIRE(runner.has_value());
  auto logits = (*runner)->run(tiny.tokens, true);
  REQUIRE(!logits.has_value());
  EXPECT(logits.error().code == Errc::kCorrupt);
  EXPECT(platform.logged("layer 1 gave a number that is not finite"));
}
