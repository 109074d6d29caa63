// SPDX-License-Identifier: GPL-2.0-or-later
// DRY's breakers: tokens that contain one, and rows of tokens that are one.
#include "ai/text/dry_breakers.h"

#include <vector>

#include "kernel/base/test.h"
#include "tests/hosted/ai/text/grammar_fake.h"

namespace {

// The test's tokenizer has a token for each byte.
u32 run_of(const ai::DryBreakers& breakers, std::string_view text) {
  std::vector<ai::TokenId> tokens;
  for (char c : text) tokens.push_back(static_cast<u8>(c));
  return breakers.run_of(tokens);
}

}  // namespace

TEST(dry_breakers, end_a_run_where_the_last_of_them_ends) {
  ApiTestTokenizer tokenizer;
  auto breakers = ai::DryBreakers::create(tokenizer.size());
  REQUIRE(breakers.has_value());
  EXPECT_EQ(run_of(*breakers, "a:b"), 3u);
  EXPECT(breakers->add(":", tokenizer).has_value());
  EXPECT_EQ(run_of(*breakers, "a:bc"), 2u);
  EXPECT_EQ(run_of(*breakers, "a:b:"), 0u);
  EXPECT(breakers->add("##", tokenizer).has_value());
  EXPECT_EQ(run_of(*breakers, "a##bcd"), 3u);
  EXPECT_EQ(run_of(*breakers, "a#b#cd"), 6u);
  EXPECT_EQ(run_of(*breakers, "a##b:cd"), 2u);
  EXPECT_EQ(run_of(*breakers, "a:b##cd"), 2u);
  EXPECT_EQ(run_of(*breakers, "##"), 0u);
  EXPECT_EQ(run_of(*breakers, "#"), 1u);
  EXPECT_EQ(run_of(*breakers, ""), 0u);
}
