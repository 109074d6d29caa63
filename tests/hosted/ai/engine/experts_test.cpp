// SPDX-License-Identifier: GPL-2.0-or-later
// The whole engine with experts that stay in the file: memory that runs out while it loads, the
// same answers, cancelled requests, and a bad disk that ends only the requests that need it.
#include <atomic>

#include "ai/engine/streamed.h"
#include "arch/host/memory.h"
#include "tests/hosted/fake_model.h"
#include "tests/hosted/test_expert_reader.h"
#include "tests/hosted/test_tiny_model.h"

namespace {

using ai::TokenId;

std::vector<Byte> model_bytes(const char* family) {
  TinyModel tiny;
  if (!make_tiny_model(family, tiny)) return {};
  give_tokenizer(tiny, false);
  return std::move(tiny.file);
}

std::vector<TokenId> counted(u32 n, u32 first = 3) {
  std::vector<TokenId> tokens;
  tokens.reserve(n);
  for (u32 i = 0; i < n; i++) tokens.push_back(first + i * 5 % 50);
  return tokens;
}

constexpr ai::EngineOptions kOptions{.context = 96, .max_requests = 2, .prefill_chunk = 16};

u64 slot_bytes(const std::vector<Byte>& file) {
  TestPlatform quiet;
  auto parsed = MUST(ai::GgufFile::parse(file, quiet));
  auto params = MUST(ai::read_hyperparameters(*parsed));
  return MUST(ai::expert_sizes(*parsed, params)).slot_bytes;
}

ai::StreamedFile heads_of(const std::vector<Byte>& file) {
  ai::StreamedFile opened;
  Vector<Byte> head;
  MUST(head.append(file));
  MUST(opened.heads.push_back(std::move(head)));
  MUST(opened.bytes.push_back(file.size()));
  return opened;
}

Result<ai::StreamedEngine> load(const std::vector<Byte>& file, TestExpertReader& reader,
                                TestPlatform& platform, u64 expert_bytes,
                                ai::ReadWatcher* watcher = nullptr) {
  ai::StreamedFile opened = heads_of(file);
  auto borrowed = TRY(base::make<BorrowedReader>(reader));
  opened.reader = base::Owner<ai::FileReader>(borrowed.release());
  return ai::load_streamed(std::move(opened), platform, kOptions, {.expert_bytes = expert_bytes},
                           watcher);
}

void run(ai::Engine& engine) {
  while (engine.step()) {
  }
}

ai::Request request_for(const std::vector<TokenId>& prompt, u32 tokens = 24) {
  return {.prompt = prompt, .max_tokens = tokens, .ignore_end = true, .hash_logits = true};
}

}  // namespace

TEST(engine_experts, memory_may_run_out_at_any_allocation_of_loading) {
  std::vector<Byte> file = model_bytes("qwen2moe");
  REQUIRE(!file.empty());
  u64 slots = 3 * slot_bytes(file);
  TestPlatform platform;
  TestExpertReader reader(file);
  i64 live = host::live_allocations();
  u64 n = 1;
  for (;; n++) {
    REQUIRE(n < 5000);
    i64 before = host::live_allocations();
    ai::StreamedFile opened = heads_of(file);
    opened.reader = base::Owner<ai::FileReader>(MUST(base::make<BorrowedReader>(reader)).release());
    host::fail_allocation(n);
    auto engine =
        ai::load_streamed(std::move(opened), platform, kOptions, {.expert_bytes = slots}, nullptr);
    host::fail_allocation(0);
    opened = {};
    if (engine.has_value()) break;
    if (engine.error().code != Errc::kOutOfMemory)
      test.report(__FILE__, __LINE__, engine.error().what);
    EXPECT_EQ(host::live_allocations(), before);
    EXPECT_EQ(platform.live_page_bytes(), 0u);
    EXPECT(reader.idle());
    platform.log_text.clear();
  }
  EXPECT(n > 40);
  EXPECT_EQ(host::live_allocations(), live);
}

TEST(engine_experts, the_plan_says_what_is_taken) {
  std::vector<Byte> file = model_bytes("qwen3moe");
  ai::StreamedFile heads = heads_of(file);
  TestPlatform platform;
  u64 slot = slot_bytes(file);
  auto plan = MUST(ai::plan_streamed(heads, platform, kOptions, {.expert_bytes = 3 * slot}));
  EXPECT_EQ(plan.slots, 3u);
  EXPECT_EQ(plan.slots_bytes, 3 * slot);
  EXPECT(plan.experts > 8);
  TestExpertReader reader(file);
  auto loaded = MUST(load(file, reader, platform, 3 * slot));
  EXPECT_EQ(loaded.engine->plan().total(), plan.memory.total());
  EXPECT_EQ(loaded.figures->slots, 3u);

  // The slots get what is left, and at most what all experts take.
  u64 rest = plan.memory.total() - plan.slots_bytes;
  auto with = [&](u64 memory) {
    return ai::plan_streamed(heads, platform, kOptions, {.memory_bytes = memory});
  };
  EXPECT_EQ(MUST(with(rest + 7 * slot)).slots, 7u);
  EXPECT_EQ(MUST(with(rest + 8 * slot - 1)).slots, 7u);
  EXPECT_EQ(MUST(with(rest + 1000 * slot)).slots, plan.experts);
  EXPECT_EQ(MUST(with(0)).slots, plan.experts);
  auto refused = with(rest);
  EXPECT(!refused.has_value() && refused.error().code == Errc::kOutOfMemory);
  refused = with(slot);
  EXPECT(!refused.has_value() && refused.error().code == Errc::kOutOfMemory);
  EXPECT(platform.logged("beside its experts the model takes"));
  refused = ai::plan_streamed(heads, platform, kOptions, {.expert_bytes = slot - 1});
  EXPECT(!refused.has_value() && refused.error().code == Errc::kInvalidArgument);
  EXPECT(platform.logged("do not hold one, which takes"));
  auto dense = ai::plan_streamed(heads_of(model_bytes("llama")), platform, kOptions, {});
  EXPECT(!dense.has_value() && dense.error().code == Errc::kUnsupported);
}

TEST(engine_experts, answers_as_from_memory) {
  std::vector<Byte> file = model_bytes("qwen3moe");
  TestPlatform platform(2);
  auto prompt = counted(40), other = counted(23, 7);
  std::vector<Byte> copy = file;
  auto whole = MUST(ai::Engine::load(copy, platform, kOptions));
  FakeSink wanted[2], got[2];
  REQUIRE(whole->submit(request_for(prompt), wanted[0]).has_value());
  REQUIRE(whole->submit(request_for(other), wanted[1]).has_value());
  run(*whole);
  TestExpertReader reader(file, 9);
  auto loaded = MUST(load(file, reader, platform, 2 * slot_bytes(file)));
  ai::Engine* engine = loaded.engine.get();
  EXPECT_EQ(engine->info().fingerprint, whole->info().fingerprint);
  EXPECT_EQ(engine->info().parameters, whole->info().parameters);
  EXPECT(engine->info().quantization.view() == whole->info().quantization.view());
  for (FakeSink& sink : got)
    sink.ids.reserve(50), sink.hashes.reserve(50), sink.logprobs.reserve(50),
        sink.text.reserve(500);
  REQUIRE(engine->submit(request_for(prompt), got[0]).has_value());
  REQUIRE(engine->submit(request_for(other), got[1]).has_value());
  u64 before = host::allocation_count();
  run(*engine);
  EXPECT_EQ(host::allocation_count(), before);
  for (u32 i : {0u, 1u}) {
    EXPECT_EQ(got[i].ids.size(), usize{24});
    EXPECT(got[i].ids == wanted[i].ids);
    EXPECT(got[i].hashes == wanted[i].hashes);
  }
  EXPECT(loaded.figures->misses > 20 && loaded.figures->bytes > 0);
}

TEST(engine_experts, a_cancelled_request_ends_while_its_disk_reads) {
  std::vector<Byte> file = model_bytes("qwen3moe");
  TestPlatform platform;
  TestExpertReader reader(file);
  auto engine = MUST(load(file, reader, platform, 2 * slot_bytes(file))).engine;
  auto prompt = counted(40);
  for (u64 nth : {1u, 3u, 10u, 40u}) {
    FakeSink sink;
    ai::RequestId id = MUST(engine->submit(request_for(prompt), sink));
    u64 waits = 0;
    reader.on_wait = [&] {
      if (++waits == nth) engine->cancel(id);
    };
    run(*engine);
    reader.on_wait = {};
    EXPECT(sink.ended && sink.reason == ai::FinishReason::kCancelled);
    EXPECT(reader.idle());
    EXPECT_EQ(engine->running() + engine->queued(), 0u);
    engine->forget_prompts();
    EXPECT_EQ(engine->kv_pages_used(), u64{0});
  }
  // A stop in the middle of loading leaves nothing behind, either.
  class Stop final : public ai::ReadWatcher {
   public:
    bool on_bytes(u64, u64) override { return false; }
  } stop;
  auto stopped = load(file, reader, platform, 2 * slot_bytes(file), &stop);
  EXPECT(!stopped.has_value() && stopped.error().code == Errc::kCancelled);
  EXPECT(reader.idle());
}

namespace {

// Returns what a request reads when it is alone.
std::map<u64, u32> reads_of(const std::vector<Byte>& file, const std::vector<TokenId>& prompt,
                            FakeSink& sink) {
  TestPlatform platform;
  TestExpertReader reader(file);
  auto engine = MUST(load(file, reader, platform, 2 * slot_bytes(file))).engine;
  reader.read_at.clear();
  MUST(engine->submit(request_for(prompt, 3), sink));
  run(*engine);
  return reader.read_at;
}

}  // namespace

TEST(engine_experts, a_bad_sector_ends_only_the_requests_that_need_it) {
  std::vector<Byte> file = model_bytes("qwen3moe");
  // Short texts: a long one uses every expert.
  std::vector<TokenId> good, bad;
  u64 sector = 0;
  FakeSink alone, unused;
  for (u32 first = 3; sector == 0 && first < 40; first++) {
    good = counted(1, 3), bad = counted(1, first);
    FakeSink a, b;
    auto of_good = reads_of(file, good, a), of_bad = reads_of(file, bad, b);
    for (const auto& [offset, times] : of_bad)
      if (!of_good.contains(offset)) sector = offset;
    alone = a;
  }
  REQUIRE(sector != 0);
  TestPlatform platform;
  TestExpertReader reader(file);
  auto engine = MUST(load(file, reader, platform, 2 * slot_bytes(file))).engine;
  reader.bad.insert(sector);
  FakeSink lives, dies;
  REQUIRE(engine->submit(request_for(bad, 3), dies).has_value());
  REQUIRE(engine->submit(request_for(good, 3), lives).has_value());
  run(*engine);
  EXPECT(dies.ended && dies.reason == ai::FinishReason::kError);
  EXPECT(lives.ended && lives.reason == ai::FinishReason::kLength);
  EXPECT(lives.ids == alone.ids);
  EXPECT(platform.logged("could not be read: input or output failed"));
  // The disk was repaired: nothing of the failure is left.
  reader.bad.clear();
  FakeSink again;
  REQUIRE(engine->submit(request_for(bad, 3), again).has_value());
  run(*engine);
  EXPECT(again.reason == ai::FinishReason::kLength);
}
