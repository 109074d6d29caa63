// SPDX-License-Identifier: GPL-2.0-or-later
// A packed model says what the plain one says, bit for bit, and its bytes are not touched at load.
#include <cstring>

#include "ai/engine/engine.h"
#include "ai/gguf/layout.h"
#include "ai/gguf/pack.h"
#include "kernel/base/test.h"
#include "tests/hosted/test_model_runner.h"
#include "tests/hosted/test_tiny_model.h"

namespace {

class VectorSink final : public ai::ByteSink {
 public:
  Result<void> write(std::span<const Byte> part) override {
    bytes.insert(bytes.end(), part.begin(), part.end());
    return {};
  }
  std::vector<Byte> bytes;
};

std::vector<Byte> pack(std::vector<Byte> file, TestPlatform& platform) {
  VectorSink sink;
  auto parsed = MUST(ai::GgufFile::parse(file, platform));
  const std::span<Byte> parts[] = {file};
  MUST(ai::pack_model(*parsed, parts, platform, sink));
  return std::move(sink.bytes);
}

}  // namespace

TEST(models_pack, same_bits_as_the_plain_file) {
  for (const char* name : {"quant-q4_k", "quant-q6_k", "quant-q8_0", "quant-mxfp4", "mixtral",
                           "deepseek2-mla", "mamba"}) {
    TinyModel tiny;
    REQUIRE(make_tiny_model(name, tiny));
    TestPlatform platform(2);
    std::vector<Byte> packed = pack(tiny.file, platform);
    RunnerOptions options{.context = 64, .rows = 16};
    auto plain = ModelRunner::load(tiny.file, platform, options);
    auto ready = ModelRunner::load(packed, platform, options);
    REQUIRE(plain.has_value() && ready.has_value());
    EXPECT(std::memcmp((*ready)->bytes().data(), packed.data(), packed.size()) == 0);
    auto a = (*plain)->run(tiny.tokens, true), b = (*ready)->run(tiny.tokens, true);
    REQUIRE(a.has_value() && b.has_value());
    EXPECT(*a == *b);
    for (const ai::GgufTensor& tensor : (*ready)->file().tensors())
      EXPECT_EQ(tensor.offset % 64, u64{0});
  }
}

TEST(models_pack, grouped_while_it_arrives) {
  for (const char* name : {"quant-q4_k", "quant-q6_k", "quant-q8_0", "mixtral", "deepseek2-mla"}) {
    TinyModel tiny;
    REQUIRE(make_tiny_model(name, tiny));
    TestPlatform platform(2);
    std::vector<Byte> whole = tiny.file, arriving = tiny.file;
    auto parsed = MUST(ai::GgufFile::parse(whole, platform));
    const std::span<Byte> parts[] = {whole};
    MUST(ai::group_matrices(*parsed, parts, platform));
    auto groups = MUST(ai::ArrivingGroups::create(*parsed, 0, arriving, platform));
    for (usize bytes = 0, step = 1; bytes < arriving.size(); bytes += step = step * 7 % 65537)
      groups.advance(bytes);
    groups.advance(arriving.size());
    EXPECT(whole == arriving);
  }
}

TEST(models_pack, the_fingerprint_is_that_of_the_file) {
  TinyModel tiny;
  REQUIRE(make_tiny_model("quant-q4_k", tiny));
  give_tokenizer(tiny, false);
  TestPlatform platform(2);
  std::vector<Byte> packed = pack(tiny.file, platform), arriving = tiny.file, plain = tiny.file;
  auto parsed = MUST(ai::GgufFile::parse(arriving, platform));
  MUST(ai::ArrivingGroups::create(*parsed, 0, arriving, platform)).advance(arriving.size());
  ai::EngineOptions options{.context = 64};
  auto a = MUST(ai::Engine::load(plain, platform, options));
  auto b = MUST(ai::Engine::load(packed, platform, options));
  options.grouped = true;
  auto c = MUST(ai::Engine::load(arriving, platform, options));
  EXPECT_EQ(a->info().fingerprint, b->info().fingerprint);
  EXPECT_EQ(a->info().fingerprint, c->info().fingerprint);
}

TEST(models_pack, packing_twice_and_unknown_layouts_are_refused) {
  TinyModel tiny;
  REQUIRE(make_tiny_model("quant-q4_0", tiny));
  TestPlatform platform;
  std::vector<Byte> packed = pack(tiny.file, platform);
  auto parsed = MUST(ai::GgufFile::parse(packed, platform));
  VectorSink sink;
  const std::span<Byte> parts[] = {packed};
  EXPECT(!ai::pack_model(*parsed, parts, platform, sink).has_value());
  EXPECT(sink.bytes.empty());
  std::string_view text(reinterpret_cast<const char*>(packed.data()), packed.size());
  usize at = text.find(ai::kGroupedLayout);
  REQUIRE(at != text.npos);
  packed[at + ai::kGroupedLayout.size() - 1]++;
  EXPECT(!ModelRunner::load(packed, platform, {.context = 64, .rows = 4}).has_value());
  EXPECT(platform.logged("marrow.layout"));
}
