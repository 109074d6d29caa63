// SPDX-License-Identifier: GPL-2.0-or-later
// llama2.c checkpoints: the published text of stories260K byte for byte, and hostile headers.
#include <cstring>

#include "ai/gguf/llama2c.h"
#include "ai/gguf/writer.h"
#include "arch/host/memory.h"
#include "kernel/base/test.h"
#include "tests/hosted/test_files.h"
#include "tests/hosted/test_model_runner.h"

namespace {

constexpr u32 kBos = 1, kSteps = 200;

std::span<const Byte> bytes_of(const std::string& text) {
  return {reinterpret_cast<const Byte*>(text.data()), text.size()};
}

// As run.c prints: no space at the beginning, bytes for <0xNN>.
std::string text_of(const ai::GgufFile& file, std::span<const u32> tokens) {
  auto pieces = MUST(file.get_strings("tokenizer.ggml.tokens"));
  std::string out;
  for (u32 token : tokens) {
    std::string piece(pieces[token]);
    for (usize at = 0; (at = piece.find("\xe2\x96\x81", at)) != piece.npos;)
      piece.replace(at, 3, " ");
    u32 value = 0;
    if (std::sscanf(piece.c_str(), "<0x%02X>", &value) == 1)
      piece.assign(1, static_cast<char>(value));
    out += out.empty() && piece.starts_with(' ') ? piece.substr(1) : piece;
  }
  return out;
}

std::string tell(std::span<const Byte> file) {
  TestPlatform platform;
  auto runner = ModelRunner::load(file, platform, {.context = 256, .rows = 4});
  if (!runner.has_value()) return platform.log_text;
  const u32 bos = kBos;
  auto tokens = (*runner)->greedy({&bos, 1}, kSteps);
  return tokens.has_value() ? text_of((*runner)->file(), *tokens) : tokens.error().what;
}

// The smallest version 2 checkpoint: one layer, everything one.
std::string version_2(u32 group) {
  const i32 numbers[] = {64, 64, 1, 2, 1, 3, 16};
  std::string out = "24ka";
  auto put = [&](const auto& value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  put(u32{2});
  for (i32 n : numbers) put(n);
  put(u8{1});
  put(group);
  out.resize(256);
  for (u32 i = 0; i < 3 * 64; i++) put(1.0f);  // norms
  const u32 counts[] = {3 * 64, 64 * 64, 32 * 64, 32 * 64, 64 * 64, 64 * 64, 64 * 64, 64 * 64};
  for (u32 count : counts) {
    for (u32 i = 0; i < count; i++) put(static_cast<i8>(i % 7));
    for (u32 i = 0; i < count / group; i++) put(0.25f * static_cast<float>(i + 1));
  }
  return out;
}

}  // namespace

TEST(models_llama2c, stories260k_tells_the_published_story) {
  std::string golden, checkpoint, tokenizer, gguf;
  if (!read_file(shared_path("goldens/stories260K.greedy200.txt"), golden) ||
      !read_file(shared_path("stories260K/stories260K.bin"), checkpoint) ||
      !read_file(shared_path("stories260K/tok512.bin"), tokenizer))
    return test.skip("shared data are not here");
  while (golden.ends_with('\n')) golden.pop_back();
  std::string told = tell(bytes_of(checkpoint + tokenizer));
  EXPECT_EQ(told == golden, true);
  if (told != golden) test.report(__FILE__, __LINE__, told);
  std::string path = model_path("stories260K-F32.gguf");
  if (!path.empty() && read_file(path, gguf)) EXPECT_EQ(tell(bytes_of(gguf)) == golden, true);
}

TEST(models_llama2c, groups_become_blocks) {
  TestPlatform platform;
  for (u32 group : {32u, 64u}) {
    std::string bytes = version_2(group);
    std::span<Byte> file(reinterpret_cast<Byte*>(bytes.data()), bytes.size());
    REQUIRE(ai::is_llama2c(file));
    std::string untouched = bytes;
    EXPECT(ai::parse_llama2c(file, {}, platform, ai::Llama2cGroups::kDescribe).has_value());
    EXPECT(bytes == untouched);
    auto parsed = ai::parse_llama2c(file, {}, platform);
    REQUIRE(parsed.has_value());
    const ai::GgufTensor* q = (*parsed)->find_tensor("blk.0.attn_q.weight");
    REQUIRE(q != nullptr && q->view.type == ai::QuantType::kQ8_0);
    for (u32 b : {0u, 1u, 127u}) {  // 32 weights each
      const Byte* block = q->view.data.data() + b * 34;
      EXPECT_EQ(static_cast<u32>(block[2 + 5]), (b * 32 + 5) % 7);
      float scale = 0.25f * static_cast<float>(b * 32 / group + 1);
      _Float16 half;
      std::memcpy(&half, block, 2);
      EXPECT(static_cast<float>(half) == scale);
    }
  }
}

TEST(models_llama2c, hostile_headers_are_refused) {
  TestPlatform platform;
  std::string good = version_2(64);
  i64 before = host::live_allocations();
  auto refused = [&](std::string bytes) {
    std::span<Byte> file(reinterpret_cast<Byte*>(bytes.data()), bytes.size());
    return !ai::parse_llama2c(file, {}, platform).has_value();
  };
  for (usize at = 4; at < 44; at += 4) {
    if (at == 36) continue;  // the flag and the group are not aligned
    for (i32 value : {0, -1, 0x7fffffff, -0x7fffffff - 1, 0x10000001}) {
      std::string bytes = good;
      std::memcpy(bytes.data() + at, &value, 4);
      if (at == 40) continue;
      EXPECT(refused(bytes));
    }
  }
  std::string odd = version_2(64);
  const u32 group = 128;
  std::memcpy(odd.data() + 37, &group, 4);
  EXPECT(refused(odd));
  for (usize n : {0u, 3u, 35u, 255u, 256u, 300u, static_cast<u32>(good.size()) - 1})
    EXPECT(refused(good.substr(0, n)));
  EXPECT(refused(good + "\1\2\3\4 too short for a tokenizer"));
  EXPECT_EQ(host::live_allocations(), before);
}
