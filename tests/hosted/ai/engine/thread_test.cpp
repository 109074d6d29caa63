// SPDX-License-Identifier: GPL-2.0-or-later
// An engine belongs to one thread; the others may only submit, cancel and look.
#include "kernel/base/test.h"
#include "tests/hosted/fake_model.h"
#include "tests/hosted/test_death.h"

namespace {

struct Nothing final : ai::ScoreSink, ai::ByteSink, ai::ByteSource {
  bool on_score(const ai::TokenScore&) override { return true; }
  Result<void> write(std::span<const Byte>) override { return {}; }
  Result<void> read(std::span<Byte>) override { return fail(Errc::kCorrupt, "nothing here"); }
};

constexpr ai::TokenId kText[] = {5, 9, 7};

struct Call {
  const char* name;
  void (*run)(base::Owner<ai::EngineImpl>& engine);
};
constexpr Call kOnlyItsOwn[] = {
    {"step", [](auto& engine) { static_cast<void>(engine->step()); }},
    {"score",
     [](auto& engine) {
       Nothing sink;
       static_cast<void>(engine->score(kText, 1, sink).has_value());
     }},
    {"embed",
     [](auto& engine) {
       float out[kFakeWidth];
       static_cast<void>(engine->embed(kText, ai::Pooling::kMean, out, nullptr).has_value());
     }},
    {"save",
     [](auto& engine) {
       Nothing sink;
       static_cast<void>(engine->save(kText, sink).has_value());
     }},
    {"restore",
     [](auto& engine) {
       Nothing source;
       static_cast<void>(engine->restore(source).has_value());
     }},
    {"forget_prompts", [](auto& engine) { engine->forget_prompts(); }},
    {"its end", [](auto& engine) { engine.reset(); }},
};

}  // namespace

TEST(engine_thread, nobody_else_may_compute) {
  for (const Call& call : kOnlyItsOwn) {
    TestPlatform platform;
    auto engine = fake_engine(platform, {});
    REQUIRE(engine.has_value());
    (*engine)->bind_to_this_thread();
    std::string said = death_of([&] {
      platform.calling_thread = &call;
      call.run(*engine);
    });
    EXPECT(said.find("own_thread") != std::string::npos);
    EXPECT_EQ(death_of([&] { call.run(*engine); }), "");
  }
}

TEST(engine_thread, everybody_may_submit_cancel_and_look) {
  TestPlatform platform;
  auto engine = fake_engine(platform, {});
  REQUIRE(engine.has_value());
  (*engine)->bind_to_this_thread();
  const void* own = platform.calling_thread;
  int other = 0;
  FakeSink sink;
  platform.calling_thread = &other;
  ai::RequestId id = (*engine)->submit({.prompt = kText}, sink).value();
  EXPECT_EQ((*engine)->queued(), 1u);
  platform.calling_thread = own;
  EXPECT((*engine)->step());
  platform.calling_thread = &other;
  EXPECT_EQ((*engine)->running(), 1u);
  EXPECT((*engine)->kv_pages_used() > 0);
  (*engine)->cancel(id);
  EXPECT(sink.reason == ai::FinishReason::kCancelled);
  platform.calling_thread = own;
}

// The engine goes while somebody further up the stack computes in it.
TEST(engine_thread, an_engine_in_use_does_not_end) {
  TestPlatform platform;
  for (bool scores : {true, false}) {
    std::string said = death_of([&] {
      auto engine = fake_engine(platform, {});
      FakeSink sink;
      MUST((*engine)->submit({.prompt = kText}, sink));
      platform.on_breathe = [&] { engine->reset(); };
      kOnlyItsOwn[scores ? 1 : 0].run(*engine);
    });
    EXPECT(said.find("uses_ == 0") != std::string::npos);
  }
}
