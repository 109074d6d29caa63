// SPDX-License-Identifier: GPL-2.0-or-later
// Other threads run while the masks of a request's grammar are computed.
#include "kernel/base/test.h"
#include "tests/hosted/fake_model.h"

using ai::FinishReason;
using ai::TokenId;

// A mask gives way to others, who may cancel the request that it is for.
TEST(engine, cancelled_while_a_mask_is_made) {
  u64 whole = 0, plain = 0;  // breaths of a run, with the grammar and without
  auto run_and_cancel = [&](std::string_view text, u64 when) {
    TestPlatform platform;
    auto engine = fake_engine(platform, {});
    REQUIRE(engine.has_value());
    auto trie = ai::TokenTrie::build((*engine)->tokenizer());
    REQUIRE(trie.has_value());
    String problem;
    base::StringWriter writer(problem);
    auto grammar = ai::Grammar::from_gbnf(text, **trie, writer);
    REQUIRE(grammar.has_value());
    std::vector<TokenId> prompt = {5, 8, 11, 14, 17, 20};
    FakeSink bound, other;
    ai::Request r{.prompt = prompt, .max_tokens = 4, .grammar = grammar->get()};
    u64 before = platform.breaths;
    ai::RequestId id = (*engine)->submit(r, bound).value();
    r.grammar = nullptr;
    REQUIRE((*engine)->submit(r, other).has_value());
    u32 events = 0;  // that the cancelled one had been told of
    platform.on_breathe = [&] {
      if (platform.breaths - before != when) return;
      (*engine)->cancel(id);
      events = bound.events;
    };
    while ((*engine)->step()) REQUIRE((*engine)->consistent());
    EXPECT(when == 0 || bound.events == events);
    EXPECT(bound.ended && (bound.reason == FinishReason::kCancelled) == (when > 0));
    EXPECT(other.ended && other.ids.size() == 4);
    EXPECT_EQ((*engine)->kv_pages_used(), 0u);
    if (when == 0) whole = platform.breaths - before;
  };
  run_and_cancel("root ::= .*", 0);
  plain = whole;
  run_and_cancel("root ::= (.?){2000}", 0);
  EXPECT(whole > plain + 8);
  for (u64 when = 1; when < whole; when++) run_and_cancel("root ::= (.?){2000}", when);
}
