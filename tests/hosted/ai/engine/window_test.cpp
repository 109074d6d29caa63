// SPDX-License-Identifier: GPL-2.0-or-later
// Models whose layers see a window: the same bytes as with all pages kept, in contexts of several
// times the window, however a request is served.
#include <cstring>
#include <random>

#include "ai/attention/attend.h"
#include "arch/host/memory.h"
#include "kernel/base/hash.h"
#include "kernel/base/test.h"
#include "tests/hosted/ai/engine/ask.h"
#include "tests/hosted/ai/engine/stored_bytes.h"
#include "tests/hosted/test_death.h"
#include "tests/hosted/test_model_runner.h"
#include "tests/hosted/test_tiny_model.h"

namespace {

using ai::TokenId;

constexpr u32 kWindow = 10;  // positions; a page of the fake model has four
constexpr FakeBehaviour kNarrow{.window = kWindow};
// The same model in a store that keeps every page.
constexpr FakeBehaviour kWide{.window = kWindow, .kept_window = 1000};

struct Asked {
  std::vector<TokenId> prompt;
  u32 max_tokens, submit_at;
};

// Prompts of up to nine windows; two of three begin alike, for three windows.
std::vector<Asked> requests(u32 count) {
  std::vector<Asked> all;
  std::mt19937 random(7);
  for (u32 i = 0; i < count; i++) {
    Asked a{{}, 5 + i * 9 % 40, i * 3 % 17};
    for (u32 n = 0; i % 3 != 0 && n < 31; n++) a.prompt.push_back(7 + n % 11);
    for (u32 n = 1 + random() % (i % 4 == 0 ? 90 : 12); n > 0; n--)
      a.prompt.push_back(2 + random() % 60);
    all.push_back(std::move(a));
  }
  return all;
}

struct Served {
  std::vector<FakeSink> sinks;
  u64 put_back = 0;
  u32 cached = 0, accepted = 0;
};

bool serve(const std::vector<Asked>& all, const ai::EngineOptions& options,
           const FakeBehaviour& behaviour, Served& out) {
  TestPlatform platform;
  platform.fixed_step_ns = 1000;
  auto engine = fake_engine(platform, options, behaviour);
  if (!engine.has_value()) return false;
  out.sinks = std::vector<FakeSink>(all.size());
  u32 submitted = 0;
  bool right = true;
  for (u32 step = 0; submitted < all.size() || (*engine)->running() + (*engine)->queued() > 0;
       step++) {
    for (usize i = 0; i < all.size(); i++)
      if (all[i].submit_at == step) {
        ai::Request r{
            .prompt = all[i].prompt, .max_tokens = all[i].max_tokens, .hash_logits = true};
        right &= (*engine)->submit(r, out.sinks[i]).has_value();
        submitted++;
      }
    (*engine)->step();
    right &= (*engine)->consistent();
    if (step > 10000) return false;
  }
  right &= (*engine)->kv_pages_used() == 0;
  for (usize at = 0; (at = platform.log_text.find("put back", at)) != std::string::npos; at++)
    out.put_back++;
  for (const FakeSink& s : out.sinks) {
    out.cached += s.timings.cached_tokens;
    out.accepted += s.timings.accepted_tokens;
    right &= s.ended && s.reason == ai::FinishReason::kLength;
  }
  return right;
}

void expect_same(TestContext& test, const char* what, const FakeSink& a, const FakeSink& b) {
  if (a.ids.empty() || a.ids != b.ids || a.hashes != b.hashes || a.text != b.text)
    test.report(__FILE__, __LINE__, what);
}

// Each request alone in an engine that keeps every page.
std::vector<FakeSink> alone(const std::vector<Asked>& all) {
  std::vector<FakeSink> sinks;
  for (const Asked& a : all) {
    Served one;
    if (!serve({{a.prompt, a.max_tokens, 0}}, {.prefill_chunk = 8192, .speculate = false}, kWide,
               one))
      return {};
    sinks.push_back(std::move(one.sinks[0]));
  }
  return sinks;
}

}  // namespace

TEST(engine_window, the_same_bytes_as_with_every_page_kept) {
  std::vector<Asked> all = requests(24);
  std::vector<FakeSink> wanted = alone(all);
  REQUIRE(wanted.size() == all.size());
  const struct {
    const char* what;
    ai::EngineOptions options;
    bool puts_back;
  } kWays[] = {
      {"together", {.speculate = false}, false},
      {"in chunks of 3", {.prefill_chunk = 3, .speculate = false}, false},
      {"one after another", {.max_requests = 1}, false},
      {"with guesses", {.max_requests = 4, .prefill_chunk = 16}, false},
      {"many", {.max_requests = 24}, false},
      {"three in small chunks", {.max_requests = 3, .prefill_chunk = 4}, false},
      {"in a small pool", {.context = 176, .kv_bytes = 96 * 32, .prefill_chunk = 8}, true}};
  for (const auto& way : kWays) {
    Served served;
    bool right = serve(all, way.options, kNarrow, served);
    if (!right) test.report(__FILE__, __LINE__, way.what);
    REQUIRE(right);
    for (usize i = 0; i < all.size(); i++) expect_same(test, way.what, served.sinks[i], wanted[i]);
    if (way.puts_back) EXPECT(served.put_back > 0);
    EXPECT(served.cached > 0);
  }
}

TEST(engine_window, guesses_that_are_taken_back_change_nothing) {
  std::vector<Asked> all = requests(12);
  FakeBehaviour narrow = kNarrow, wide = kWide;
  narrow.habit = wide.habit = 9;
  Served wanted, served;
  REQUIRE(serve(all, {.max_requests = 1, .speculate = false}, wide, wanted));
  REQUIRE(serve(all, {.max_requests = 2, .speculate = true}, narrow, served));
  for (usize i = 0; i < all.size(); i++)
    expect_same(test, "with guesses", served.sinks[i], wanted.sinks[i]);
  EXPECT(served.accepted > 20);
}

// A conversation in turns, others between them, each turn after the cache may have lost the window.
TEST(engine_window, conversations_go_on_whatever_was_evicted) {
  std::vector<std::vector<TokenId>> turns[2];
  u32 cached[2] = {};
  for (bool narrow : {false, true}) {
    TestPlatform platform;
    auto engine = fake_engine(platform, {.context = 160, .max_requests = 2, .prefill_chunk = 8},
                              narrow ? kNarrow : kWide);
    REQUIRE(engine.has_value());
    std::vector<std::vector<TokenId>> talks(5);
    for (u32 round = 0; round < 6; round++)
      for (u32 i = 0; i < talks.size(); i++) {
        std::vector<TokenId>& talk = talks[i];
        for (u32 n = 0; n < 7 + i; n++) talk.push_back(5 + (n * 3 + i + round) % 50);
        FakeSink sink;
        ask(**engine, {.prompt = talk, .max_tokens = 9}, sink);
        REQUIRE(sink.ended && sink.reason == ai::FinishReason::kLength);
        talk.insert(talk.end(), sink.ids.begin(), sink.ids.end());
        turns[narrow].push_back(sink.ids);
        cached[narrow] += sink.timings.cached_tokens;
        REQUIRE((*engine)->consistent());
      }
  }
  EXPECT(turns[0] == turns[1]);
  EXPECT(cached[true] > 0);
}

TEST(engine_window, a_prompt_cancelled_in_the_middle_leaves_nothing_wrong) {
  std::vector<TokenId> prompt = counted(120);
  FakeSink wanted;
  {
    TestPlatform platform;
    auto engine = fake_engine(platform, {}, kWide);
    REQUIRE(engine.has_value());
    ask(**engine, {.prompt = prompt, .max_tokens = 20, .hash_logits = true}, wanted);
  }
  for (u32 steps = 1; steps < 15; steps++) {
    TestPlatform platform;
    auto engine = fake_engine(platform, {.prefill_chunk = 9}, kNarrow);
    REQUIRE(engine.has_value());
    FakeSink gone, sink;
    ai::RequestId id = (*engine)->submit({.prompt = prompt, .max_tokens = 20}, gone).value();
    for (u32 i = 1; i < steps; i++) (*engine)->step();
    platform.on_breathe = [&] { (*engine)->cancel(id); };
    (*engine)->step();
    platform.on_breathe = nullptr;
    EXPECT(gone.ended && gone.reason == ai::FinishReason::kCancelled);
    EXPECT_EQ((*engine)->kv_pages_used(), 0u);
    ask(**engine, {.prompt = prompt, .max_tokens = 20, .hash_logits = true}, sink);
    expect_same(test, "after a cancelled one", sink, wanted);
    if (steps > 3) EXPECT(sink.timings.cached_tokens > 0);
    REQUIRE((*engine)->consistent());
  }
}

TEST(engine_window, choices_of_one_prompt) {
  std::vector<TokenId> prompt = counted(70);
  std::vector<FakeSink> wanted(4);
  for (bool narrow : {false, true})
    for (bool cache : {true, false}) {
      TestPlatform platform;
      // Only two run at once: for the later ones the first has gone on.
      auto engine =
          fake_engine(platform, {.max_requests = 2, .prefill_chunk = 8}, narrow ? kNarrow : kWide);
      REQUIRE(engine.has_value());
      FakeSink sinks[4];
      ai::RequestId first = 0;
      for (u32 i = 0; i < 4; i++) {
        ai::Request r{.prompt = prompt,
                      .sampling = {.temperature_milli = 900, .seed = i},
                      .max_tokens = 30 - 9 * i,
                      .cache_prompt = cache,
                      .fork_of = first,
                      .hash_logits = true};
        auto id = (*engine)->submit(r, sinks[i]);
        REQUIRE(id.has_value());
        if (i == 0) first = *id;
      }
      run(**engine);
      for (u32 i = 0; i < 4; i++)
        if (!narrow && cache)
          wanted[i] = sinks[i];
        else
          expect_same(test, "a choice", sinks[i], wanted[i]);
      EXPECT(narrow || sinks[1].timings.cached_tokens == 69);
    }
}

TEST(engine_window, texts_are_scored_and_embedded_beside_requests) {
  struct Scores final : ai::ScoreSink {
    bool on_score(const ai::TokenScore& score) override {
      all.push_back(score.logprob_micro);
      return true;
    }
    bool on_chunk(u32, u32) override {
      if (between) between();
      return true;
    }
    std::vector<i32> all;
    std::function<void()> between;
  } wanted, scores;
  std::vector<TokenId> text = counted(150, 9), prompt = counted(60);
  FakeSink alone_sink, sink;
  std::vector<float> vector(kFakeWidth), wanted_vector(kFakeWidth);
  for (bool narrow : {false, true}) {
    TestPlatform platform;
    ai::EngineOptions options{
        .context = 160, .max_requests = 1, .kv_bytes = 118 * 32, .prefill_chunk = 8};
    auto engine = fake_engine(platform, options, narrow ? kNarrow : kWide);
    REQUIRE(engine.has_value());
    FakeSink& answer = narrow ? sink : alone_sink;
    ai::Request request{.prompt = prompt, .max_tokens = 20, .hash_logits = true};
    Scores& into = narrow ? scores : wanted;
    if (narrow) {
      into.between = [&] { (*engine)->step(); };
      REQUIRE((*engine)->submit(request, answer).has_value());
    }
    REQUIRE((*engine)->score(text, 1, into).has_value());
    REQUIRE((*engine)
                ->embed(text, ai::Pooling::kMean, narrow ? vector : wanted_vector, nullptr)
                .has_value());
    if (!narrow) REQUIRE((*engine)->submit(request, answer).has_value());
    run(**engine);
    EXPECT_EQ((*engine)->kv_pages_used(), 0u);
  }
  EXPECT(scores.all == wanted.all && scores.all.size() == 150);
  EXPECT(vector == wanted_vector);
  expect_same(test, "beside a text", sink, alone_sink);
}

TEST(engine_window, saved_texts_have_their_window) {
  struct Saved final : ai::ByteSink {
    Result<void> write(std::span<const Byte> part) override {
      bytes.insert(bytes.end(), part.begin(), part.end());
      return {};
    }
    std::vector<Byte> bytes;
  } file, wide_file;
  std::vector<TokenId> text = counted(100);
  FakeSink asked, wanted;
  for (bool narrow : {true, false}) {
    TestPlatform platform;
    auto engine = fake_engine(platform, {}, narrow ? kNarrow : kWide);
    REQUIRE(engine.has_value());
    FakeSink& sink = narrow ? asked : wanted;
    ask(**engine, {.prompt = text, .max_tokens = 13, .hash_logits = true}, sink);
    std::vector<TokenId> whole = text;
    whole.insert(whole.end(), sink.ids.begin(), sink.ids.end());
    EXPECT_EQ((*engine)->save(whole, narrow ? file : wide_file).value_or(0), 112u);
    if (narrow) continue;
    wanted = {};
    ask(**engine, {.prompt = whole, .max_tokens = 20, .hash_logits = true}, wanted);
    text = whole;
  }
  // 28 pages of layers that see everything; the window of position 112 begins in page 25.
  EXPECT_EQ(file.bytes.size(), 72 + 113 * 4 + (28 + 3) * 32 + 8u);
  EXPECT_EQ(wide_file.bytes.size(), 72 + 113 * 4 + (28 + 28) * 32 + 8u);
  for (u32 times : {1u, 2u}) {
    TestPlatform platform;
    auto engine = fake_engine(platform, {.context = 160, .max_requests = 2}, kNarrow);
    REQUIRE(engine.has_value());
    for (u32 i = 0; i < times; i++) {
      Stored stored(file.bytes);
      REQUIRE((*engine)->restore(stored).has_value());
      EXPECT_EQ((*engine)->kv_pages_cached(), 31u);
      EXPECT((*engine)->consistent());
    }
    FakeSink sink;
    ask(**engine, {.prompt = text, .max_tokens = 20, .hash_logits = true}, sink);
    EXPECT_EQ(sink.timings.cached_tokens, 112u);
    expect_same(test, "restored", sink, wanted);
    // A file with other windows is refused, and so is one of the version without them.
    Stored other(wide_file.bytes);
    EXPECT(!(*engine)->restore(other).has_value());
    std::vector<Byte> old = file.bytes;
    old[8] = 2;
    old[12] = 0;
    Stored old_file(old);
    auto refused = (*engine)->restore(old_file);
    REQUIRE(!refused.has_value());
    EXPECT(refused.error().code == Errc::kUnsupported);
    EXPECT(std::string_view(refused.error().what).find("kept more than a window") !=
           std::string_view::npos);
  }
}

// A file of version 2, which has no fields for windows, into a model without them.
TEST(engine_window, a_text_saved_by_the_version_before_is_read) {
  constexpr u32 kPages = 3;
  std::vector<Byte> bytes(56 + 4 * 4 * kPages + 32 * kPages);
  std::memcpy(bytes.data(), "MarrowKV\2\0\0\0\0\0\0\0f16\0\0\0\0\0", 24);
  base::store(bytes.data() + 32, kFakePagePositions);
  base::store(bytes.data() + 36, 4 * kPages);
  base::store(bytes.data() + 40, u64{32});
  base::store(bytes.data() + 48, kPages);
  std::vector<TokenId> tokens = counted(4 * kPages);
  std::memcpy(bytes.data() + 56, tokens.data(), tokens.size() * sizeof(TokenId));
  u64 sum = 0xcbf29ce484222325;
  for (usize at = 0; at < bytes.size(); at += 8) {
    sum = (sum ^ base::load<u64>(bytes.data() + at)) * 0x100000001b3;
    sum ^= sum >> 32;
  }
  bytes.resize(bytes.size() + 8);
  base::store(bytes.data() + bytes.size() - 8, sum);
  TestPlatform platform;
  auto engine = fake_engine(platform, {});
  REQUIRE(engine.has_value());
  Stored stored(bytes);
  auto read = (*engine)->restore(stored);
  REQUIRE(read.has_value());
  EXPECT(std::ranges::equal(read->view(), tokens));
  EXPECT_EQ((*engine)->kv_pages_cached(), kPages);
}

TEST(engine_window, memory_may_run_out_at_any_allocation) {
  std::vector<TokenId> prompt = counted(60);
  for (u64 n = 1;; n++) {
    REQUIRE(n < 200);
    TestPlatform platform;
    i64 live = host::live_allocations();
    host::fail_allocation(n);
    auto engine = fake_engine(platform, {.context = 128}, kNarrow);
    host::fail_allocation(0);
    if (engine.has_value()) break;
    EXPECT_EQ(host::live_allocations(), live);
    EXPECT_EQ(platform.live_page_bytes(), 0u);
  }
  TestPlatform platform;
  auto engine = fake_engine(platform, {.context = 128}, kNarrow);
  REQUIRE(engine.has_value());
  FakeSink sink;
  for (u64 n = 1;; n++) {
    REQUIRE(n < 50);
    i64 live = host::live_allocations();
    host::fail_allocation(n);
    auto id = (*engine)->submit({.prompt = prompt, .max_tokens = 30}, sink);
    host::fail_allocation(0);
    if (id.has_value()) break;
    EXPECT_EQ(host::live_allocations(), live);
  }
  run(**engine);
  EXPECT(sink.reason == ai::FinishReason::kLength);
}

namespace {

// A tiny model of llama.cpp's family with another window, period of layers, or context.
bool windowed_model(const char* family, u32 window, TinyModel& tiny) {
  if (!make_tiny_model(family, tiny)) return false;
  give_tokenizer(tiny, false);
  std::string key;
  change_header(
      tiny,
      [&](std::string_view name) {
        bool is_window = name.ends_with("attention.sliding_window");
        if (is_window) key = name;
        return !is_window && !name.ends_with(".context_length");
      },
      [&](ai::GgufWriter& out) -> Result<void> {
        std::string prefix = key.substr(0, key.find('.'));
        TRY(out.add_u32(prefix + ".context_length", 1024));
        return out.add_u32(key, window);
      });
  return !key.empty();
}

u64 hash_of(std::span<const float> logits) {
  base::Fnv1a hash;
  for (float x : logits) hash.add(u64{std::bit_cast<u32>(x)});
  return hash.value();
}

}  // namespace

// Real layers: the engine, which gives pages back, against a runner that keeps every one.
TEST(engine_window, tiny_models_give_the_bits_of_a_cache_that_keeps_all) {
  for (const char* family : {"gemma2", "gemma3", "mistral", "cohere2"})
    for (u32 window : {6u, 40u}) {
      TinyModel tiny;
      REQUIRE(windowed_model(family, window, tiny));
      std::vector<TokenId> prompt;
      prompt.reserve(400);
      for (u32 i = 0; i < 400; i++) prompt.push_back(3 + i * 7 % 50);
      TestPlatform platform(2);
      std::vector<Byte> bytes = tiny.file;
      auto engine = ai::Engine::load(bytes, platform,
                                     {.context = 512, .max_requests = 2, .prefill_chunk = 48});
      REQUIRE(engine.has_value());
      FakeSink sink, again;
      ai::Request request{
          .prompt = prompt, .max_tokens = 60, .ignore_end = true, .hash_logits = true};
      for (FakeSink* to : {&sink, &again}) {
        REQUIRE((*engine)->submit(request, *to).has_value());
        while ((*engine)->step()) {
        }
      }
      EXPECT_EQ(again.timings.cached_tokens, 399u);
      EXPECT(again.ids == sink.ids && again.hashes == sink.hashes);
      RunnerOptions options{.kernels = "auto", .context = 512, .rows = 256};
      auto runner = ModelRunner::load(tiny.file, platform, options);
      REQUIRE(runner.has_value());
      auto logits = (*runner)->run(prompt, false);
      REQUIRE(logits.has_value() && sink.ids.size() == 60);
      for (usize i = 0; i < sink.ids.size(); i++) {
        auto row = std::span(*logits).first((*engine)->tokenizer().size());
        if (hash_of(row) != sink.hashes[i]) {
          test.report(__FILE__, __LINE__, std::string(family) + ": other bits");
          break;
        }
        logits = (*runner)->run({&sink.ids[i], 1}, false);
        REQUIRE(logits.has_value());
      }
    }
}

// The plan counts both kinds of pages, and loading takes what it says.
TEST(engine_window, the_plan_counts_what_layers_see) {
  for (u32 context : {64u, 1024u}) {
    TinyModel tiny;
    REQUIRE(windowed_model("gemma2", 40, tiny));  // two of its three layers have a window
    TestPlatform platform;
    std::vector<Byte> bytes = tiny.file;
    auto engine = ai::Engine::load(bytes, platform,
                                   {.context = context, .max_requests = 2, .prefill_chunk = 16});
    REQUIRE(engine.has_value());
    u64 layer = ai::kv_page_bytes(ai::KvType::kF16, 16, 16) * 2;  // two heads for keys
    // Each request four pages while it decodes; the step's 34 rows and the window before them,
    // five.
    u64 whole = context / 32 + 2, window = std::min<u64>(whole, 2 * 4 + 5);
    ai::KvShape books{.pages = static_cast<u32>(whole),
                      .page_positions = ai::kPagePositions,
                      .window_pages = static_cast<u32>(window)};
    EXPECT_EQ((*engine)->plan().kv_bytes, whole * layer + window * 2 * layer + books.book_bytes());
    EXPECT_EQ((*engine)->kv_pages_total(), whole + window);
  }
}

// The shape of Gemma 3 270M at its full context: 15 of 18 layers see 512 positions.
TEST(engine_window, a_context_of_32768_tokens_in_bytes) {
  u64 bytes[2] = {};
  for (bool windows : {false, true}) {
    ai::Hyperparameters params;
    params.layers = 18, params.kv_heads = 1, params.key_width = params.value_width = 256;
    if (windows) params.window = 512, params.window_period = 6;
    ai::ModelSizes model{
        .page_bytes = ai::kv_page_bytes(params, ai::KvType::kF16),
        .window = params.window,
        .page_positions = ai::kPagePositions,
        .trained_context = 32768,
        .workspace_bytes = [](const void*, const ai::StepLimits&, u32) { return u64{0}; }};
    TestPlatform platform;
    ai::MemoryPlan plan;
    auto sizes = ai::choose_sizes({.context = 32768}, model, platform, plan);
    REQUIRE(sizes.has_value());
    EXPECT_EQ(sizes->kv.pages, 1024 + 8u);
    EXPECT_EQ(sizes->kv.window_pages, windows ? 8 * 18 + 22u : 0u);
    bytes[windows] = plan.kv_bytes - sizes->kv.book_bytes();
  }
  constexpr u64 kLayer = 32 * 256 * 2 * sizeof(u16);  // of a page: keys and values
  EXPECT_EQ(bytes[false], 1032 * 18 * kLayer);
  EXPECT_EQ(bytes[true], 1032 * 3 * kLayer + 166 * 15 * kLayer);
}

TEST(engine_window, a_page_behind_the_window_is_never_read) {
  TinyModel tiny;
  REQUIRE(windowed_model("mistral", 6, tiny));
  TestPlatform platform;
  auto file = ai::GgufFile::parse(tiny.file, platform);
  REQUIRE(file.has_value());
  auto kernels = ai::kernels_by_name("reference", platform.cpu_features());
  REQUIRE(kernels.has_value());
  const std::span<Byte> parts[] = {tiny.file};
  auto model = ai::Model::load(**file, parts, {.kernels = &*kernels, .context = 128}, platform);
  REQUIRE(model.has_value());
  auto workspace = (*model)->create_workspace({.rows = 1, .logit_rows = 1});
  REQUIRE(workspace.has_value());
  std::vector<Byte> pool(2 * (*model)->kv_page_bytes().window);
  std::vector<float> logits((*model)->params().vocabulary);
  auto at = [&](u32 position) {
    const ai::PageId pages[] = {ai::kNoPage, 0, 1};
    ai::KvView view{.whole = {nullptr, pages}, .window = {pool.data(), pages}, .state = {}};
    ai::BatchRow row{5, position, 0, true};
    return (*model)->forward({&row, 1}, {&view, 1}, **workspace, logits).has_value();
  };
  EXPECT(at(32 + 5));  // sees positions 32 to 37
  std::string last_words = death_of([&] { at(32 + 4); });
  EXPECT(last_words.find("kNoPage") != std::string::npos);
}
