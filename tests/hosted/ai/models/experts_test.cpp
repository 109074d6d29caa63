// SPDX-License-Identifier: GPL-2.0-or-later
// Experts that stay in their file: the same bits as from memory, whatever the arena, the order of
// arrival, the cut of the text and the number of workers; and what a bad disk does.
#include <cstring>

#include "ai/gguf/pack.h"
#include "ai/gguf/writer.h"
#include "ai/quant/half.h"
#include "tests/hosted/test_expert_reader.h"
#include "tests/hosted/test_model_runner.h"
#include "tests/hosted/test_tiny_model.h"

namespace {

constexpr const char* kFamilies[] = {"mixtral",    "qwen2moe", "qwen3moe",     "olmoe",
                                     "granitemoe", "deepseek", "deepseek3-mla"};

bool is_expert(std::string_view name) {
  return name.ends_with("_exps.weight");
}

void append_q8_0(const float* values, usize count, std::vector<Byte>& out) {
  for (usize at = 0; at < count; at += 32) {
    float most = 0;
    for (usize i = 0; i < 32; i++) most = std::max(most, std::fabs(values[at + i]));
    float scale = most / 127;
    u16 half = ai::f32_to_f16(scale);
    out.insert(out.end(), reinterpret_cast<Byte*>(&half), reinterpret_cast<Byte*>(&half) + 2);
    for (usize i = 0; i < 32; i++) {
      float q = scale == 0 ? 0 : values[at + i] / scale;
      out.push_back(static_cast<Byte>(static_cast<i8>(q < 0 ? q - 0.5f : q + 0.5f)));
    }
  }
}

// The tiny models have weights of F32, which are not interleaved. This gives the experts blocks.
std::vector<Byte> with_q8_0_experts(const std::vector<Byte>& plain) {
  TestPlatform platform;
  auto file = MUST(ai::GgufFile::parse(plain, platform));
  ai::GgufWriter out;
  std::vector<Byte> data;
  for (usize i = 0; i < file->key_count(); i++) MUST(out.copy(*file, i));
  for (const ai::GgufTensor& t : file->tensors()) {
    data.resize(base::round_up(data.size(), 32));
    u64 offset = data.size();
    bool quantize = is_expert(t.name) && t.view.type == ai::QuantType::kF32;
    if (quantize) {
      std::vector<float> values(t.view.data.size() / sizeof(float));
      std::memcpy(values.data(), t.view.data.data(), t.view.data.size());
      append_q8_0(values.data(), values.size(), data);
    } else {
      data.insert(data.end(), t.view.data.begin(), t.view.data.end());
    }
    auto type = quantize ? ai::QuantType::kQ8_0 : t.view.type;
    MUST(out.add_tensor(t.name, {t.dimensions, t.dimension_count}, ai::quant_info(type).ggml_type,
                        offset));
  }
  Vector<Byte> header = MUST(out.finish());
  std::vector<Byte> made(header.begin(), header.end());
  made.insert(made.end(), data.begin(), data.end());
  return made;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

struct Sizes {
  u32 layers = 0, experts = 0;
  u32 all() const { return layers * experts; }
};
Sizes sizes_of(ModelRunner& runner) {
  ai::ExpertSizes sizes = MUST(ai::expert_sizes(runner.file(), runner.model().params()));
  return {sizes.layers, sizes.experts};
}

// Runs a file from memory and from a disk with this many slots. Returns false if a bit differs.
bool runs_alike(const std::vector<Byte>& file, std::span<const u32> tokens, u32 slots, u32 seed) {
  TestPlatform platform(1 + seed % 3);
  RunnerOptions options{.kernels = "auto", .context = 256, .rows = 32};
  auto whole = ModelRunner::load(file, platform, options);
  TestExpertReader reader(file, seed);
  options.reader = &reader;
  options.expert_slots = slots;
  auto streamed = ModelRunner::load(file, platform, options);
  if (!whole.has_value() || !streamed.has_value()) return false;
  u32 chunk = seed % 2 == 0 ? 7 : 1;
  auto a = (*whole)->run(tokens, true), b = (*streamed)->run(tokens, true, chunk);
  return reader.idle() && a.has_value() && b.has_value() && same_bits(*a, *b);
}

}  // namespace

TEST(models_experts, same_bits_as_from_memory) {
  for (const char* name : kFamilies) {
    TinyModel tiny;
    REQUIRE(make_tiny_model(name, tiny));
    std::vector<Byte> blocks = with_q8_0_experts(tiny.file);
    TestPlatform platform;
    auto runner = MUST(ModelRunner::load(tiny.file, platform, {.context = 32, .rows = 4}));
    u32 all = sizes_of(*runner).all(), seed = 1;
    EXPECT(all > 4);
    for (u32 slots : {1u, 2u, all / 2, all})
      for (const std::vector<Byte>* file : {&tiny.file, &blocks})
        if (!runs_alike(*file, tiny.tokens, slots, seed++))
          test.report(__FILE__, __LINE__,
                      std::string(name) + " differs with " + std::to_string(slots) + " slots");
  }
}

TEST(models_experts, same_bits_from_a_packed_file) {
  class Sink final : public ai::ByteSink {
   public:
    Result<void> write(std::span<const Byte> part) override {
      bytes.insert(bytes.end(), part.begin(), part.end());
      return {};
    }
    std::vector<Byte> bytes;
  } sink;
  TinyModel tiny;
  REQUIRE(make_tiny_model("qwen3moe", tiny));
  TestPlatform platform;
  std::vector<Byte> file = with_q8_0_experts(tiny.file), rewritten = file;
  auto parsed = MUST(ai::GgufFile::parse(rewritten, platform));
  const std::span<Byte> parts[] = {rewritten};
  REQUIRE(ai::pack_model(*parsed, parts, platform, sink).has_value());
  RunnerOptions options{.context = 256, .rows = 32};
  auto whole = MUST(MUST(ModelRunner::load(file, platform, options))->run(tiny.tokens, true));
  TestExpertReader reader(sink.bytes);
  options.reader = &reader;
  options.expert_slots = 3;
  auto packed =
      MUST(MUST(ModelRunner::load(sink.bytes, platform, options))->run(tiny.tokens, true));
  EXPECT(same_bits(whole, packed));
}

// Prefill goes layer by layer over a whole chunk, so even an arena of one slot reads nothing twice.
TEST(models_experts, a_chunk_reads_each_expert_at_most_once) {
  TinyModel tiny;
  REQUIRE(make_tiny_model("qwen3moe", tiny));
  TestPlatform platform;
  TestExpertReader reader(tiny.file);
  auto runner = MUST(ModelRunner::load(
      tiny.file, platform, {.context = 256, .rows = 64, .reader = &reader, .expert_slots = 1}));
  reader.read_at.clear();
  REQUIRE(tiny.tokens.size() <= 64);
  REQUIRE(runner->run(tiny.tokens, true).has_value());
  EXPECT(!reader.read_at.empty());
  ai::ExpertFigures figures = runner->experts();
  EXPECT_EQ(figures.hits, u64{0});
  u64 reads = 0;
  for (const auto& [offset, times] : reader.read_at) reads += times;
  // Neighbours in the file may begin in the same 4 KiB, so the number of reads is compared.
  EXPECT_EQ(reads, figures.misses * 3);
  EXPECT(figures.misses <= sizes_of(*runner).all());
  EXPECT_EQ(figures.rows, u64{tiny.tokens.size()});
}

TEST(models_experts, what_was_used_often_stays) {
  TinyModel tiny;
  REQUIRE(make_tiny_model("qwen3moe", tiny));
  TestPlatform platform;
  TestExpertReader reader(tiny.file);
  RunnerOptions options{.context = 256, .rows = 64, .reader = &reader};
  options.expert_slots = ~u32{0};  // as many as there are experts
  auto runner = MUST(ModelRunner::load(tiny.file, platform, options));
  EXPECT_EQ(runner->experts().slots, sizes_of(*runner).all());
  REQUIRE(runner->run(tiny.tokens, true).has_value());
  u64 before = reader.count;
  runner->cut(0);
  REQUIRE(runner->run(tiny.tokens, true, 1).has_value());
  EXPECT_EQ(reader.count, before);  // each expert was read once and stayed
  // The same requests evict the same experts.
  u64 misses[2] = {};
  for (u64& count : misses) {
    TestExpertReader other(tiny.file, count == misses[0] ? 5 : 77);
    options.reader = &other;
    options.expert_slots = sizes_of(*runner).all() / 2;
    auto half = MUST(ModelRunner::load(tiny.file, platform, options));
    REQUIRE(half->run(tiny.tokens, true, 1).has_value());
    count = half->experts().misses;
  }
  EXPECT_EQ(misses[0], misses[1]);
  EXPECT(misses[0] > sizes_of(*runner).all() / 2);
}

TEST(models_experts, a_bad_read_ends_the_step_and_the_next_one_works) {
  TinyModel tiny;
  REQUIRE(make_tiny_model("qwen3moe", tiny));
  std::vector<Byte> file = with_q8_0_experts(tiny.file);
  TestPlatform platform;
  auto whole = MUST(ModelRunner::load(file, platform, {.context = 256, .rows = 64}));
  auto wanted = MUST(whole->run(tiny.tokens, true));
  for (u64 nth : {1u, 2u, 7u, 20u}) {
    TestExpertReader reader(file, static_cast<u32>(nth));
    auto runner = MUST(ModelRunner::load(
        file, platform, {.context = 256, .rows = 64, .reader = &reader, .expert_slots = 4}));
    // Whatever is read next fails at the nth read.
    u64 before = reader.count;
    reader.fail_nth = before + nth;
    auto failed = runner->run(tiny.tokens, true);
    EXPECT(!failed.has_value() && failed.error().code == Errc::kIo);
    EXPECT(platform.logged("could not be read: input or output failed"));
    EXPECT(reader.idle());
    runner->cut(0);
    auto again = runner->run(tiny.tokens, true);
    EXPECT(again.has_value() && same_bits(*again, wanted));
  }
}

TEST(models_experts, a_file_that_was_cut_is_an_error) {
  TinyModel tiny;
  REQUIRE(make_tiny_model("mixtral", tiny));
  TestPlatform platform;
  TestExpertReader reader(tiny.file);
  auto runner = MUST(ModelRunner::load(
      tiny.file, platform, {.context = 256, .rows = 64, .reader = &reader, .expert_slots = 2}));
  reader.cut = true;
  auto failed = runner->run(tiny.tokens, true);
  EXPECT(!failed.has_value() && failed.error().code == Errc::kIo);
  TestExpertReader gone(tiny.file);
  gone.cut = true;
  auto refused = ModelRunner::load(tiny.file, platform, {.context = 256, .reader = &gone});
  EXPECT(!refused.has_value() && refused.error().code == Errc::kIo);
  EXPECT(gone.idle());
}
