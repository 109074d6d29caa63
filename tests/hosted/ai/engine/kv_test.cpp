// SPDX-License-Identifier: GPL-2.0-or-later
// KV pages: the counts always add up, and a sequence's pages hold what its text says.
#include <random>

#include "arch/host/memory.h"
#include "kernel/base/test.h"
#include "tests/hosted/ai/engine/kv_text.h"
#include "tests/hosted/test_platform.h"

namespace {

using ai::KvStore;
using ai::TokenId;

}  // namespace

TEST(kv, a_second_text_takes_what_the_first_left) {
  TestPlatform platform;
  auto store = KvStore::create(platform, kv_shape(16));
  REQUIRE(store.has_value());
  Text first(*store, counted_from(11));
  first.adopt(*store);
  EXPECT_EQ(first.sequence.length, 0u);
  REQUIRE(first.compute(*store, 11));
  EXPECT_EQ(store->pool().held(), 3u);
  first.end(*store);
  EXPECT_EQ(store->pool().held(), 0u);
  EXPECT_EQ(store->pool().idle(), 3u);

  Text same(*store, counted_from(11));  // all but the last token, whose logits are wanted
  same.adopt(*store);
  EXPECT_EQ(same.sequence.length, 10u);
  EXPECT(same.right(*store));
  EXPECT_EQ(store->pool().held(), 3u);  // two shared, one copied
  Text other(*store, counted_from(6));
  other.tokens[5] = 99;
  other.tokens.push_back(7);
  other.adopt(*store);
  EXPECT_EQ(other.sequence.length, 5u);
  REQUIRE(other.compute(*store, 7));
  EXPECT(other.right(*store));
  EXPECT(same.right(*store));
  same.end(*store);
  other.end(*store);
  EXPECT(store->consistent());
  store->clear();
  EXPECT_EQ(store->pool().free(), 16u);
}

TEST(kv, forks_share_and_copy_only_the_partial_page) {
  TestPlatform platform;
  auto store = KvStore::create(platform, kv_shape(16));
  REQUIRE(store.has_value());
  Text parent(*store, counted_from(10)), child(*store, counted_from(10));
  REQUIRE(parent.compute(*store, 10));
  store->fork(parent.sequence, child.sequence, 9);
  EXPECT_EQ(store->pool().held(), 3u);
  child.tokens[9] = 77;
  REQUIRE(child.compute(*store, 10));
  EXPECT_EQ(store->pool().held(), 4u);
  EXPECT(parent.right(*store));
  EXPECT(child.right(*store));
  parent.tokens.push_back(10);
  REQUIRE(parent.compute(*store, 11));
  EXPECT_EQ(store->pool().held(), 4u);  // the parent is alone on its page again
  parent.end(*store);
  EXPECT(child.right(*store));
  child.end(*store);
  EXPECT(store->consistent());
  EXPECT_EQ(store->pool().held(), 0u);
}

TEST(kv, the_page_left_alone_longest_goes_first_and_the_deepest_before_its_chain) {
  TestPlatform platform;
  auto store = KvStore::create(platform, kv_shape(4));
  REQUIRE(store.has_value());
  Text a(*store, counted_from(12)), b(*store, counted_from(8, 50));
  REQUIRE(a.compute(*store, 12));
  a.end(*store);
  REQUIRE(b.compute(*store, 8));  // one free page and the deepest of `a`
  EXPECT_EQ(store->match(counted_from(12)), 8u);
  b.end(*store);
  EXPECT_EQ(store->match(counted_from(8, 50)), 8u);
  EXPECT(store->consistent());
}

TEST(kv, a_full_pool_is_an_error_that_changes_nothing) {
  TestPlatform platform;
  auto store = KvStore::create(platform, kv_shape(3));
  REQUIRE(store.has_value());
  Text a(*store, counted_from(8)), b(*store, counted_from(20, 100));
  REQUIRE(a.compute(*store, 8));
  REQUIRE(b.compute(*store, 4));
  EXPECT(!b.compute(*store, 8));
  EXPECT_EQ(b.sequence.length, 4u);
  EXPECT_EQ(store->pool().held(), 3u);
  EXPECT(a.right(*store) && b.right(*store));
  a.end(*store);
  EXPECT(b.compute(*store, 12));
  EXPECT(!b.compute(*store, 13));
  b.end(*store);
  EXPECT_EQ(store->pool().held(), 0u);
  EXPECT(store->consistent());
}

TEST(kv, the_same_text_computed_twice_at_once_keeps_one_copy) {
  TestPlatform platform;
  auto store = KvStore::create(platform, kv_shape(16));
  REQUIRE(store.has_value());
  Text a(*store, counted_from(9)), b(*store, counted_from(9));
  REQUIRE(a.compute(*store, 9));
  REQUIRE(b.compute(*store, 9));
  EXPECT_EQ(store->pool().held(), 4u);
  EXPECT(b.right(*store));
  a.end(*store);
  b.end(*store);
  EXPECT(store->consistent());
}

TEST(kv, drafts_that_were_wrong_give_their_pages_back) {
  TestPlatform platform;
  auto store = KvStore::create(platform, kv_shape(16));
  REQUIRE(store.has_value());
  Text a(*store, counted_from(12));
  REQUIRE(a.compute(*store, 3));
  REQUIRE(store->extend(a.sequence, 10).has_value());
  EXPECT_EQ(store->pool().held(), 3u);
  store->commit(a.sequence, a.tokens, 4, true);
  store->cut(a.sequence);
  EXPECT_EQ(store->pool().held(), 1u);
  a.end(*store);
  EXPECT(store->consistent());
}

TEST(kv, random_texts_never_see_each_other) {
  TestPlatform platform;
  auto store = KvStore::create(platform, kv_shape(14));
  REQUIRE(store.has_value());
  RandomTexts drawn{.random = std::mt19937(1)};
  for (u32 round = 0; round < 20000; round++) REQUIRE(drawn.step(*store));
  EXPECT(drawn.adopted > 1000);
  EXPECT(drawn.forks > 100);
  EXPECT(drawn.full > 10);
  for (Text& t : drawn.texts) t.end(*store);
  EXPECT_EQ(store->pool().held(), 0u);
  store->clear();
  EXPECT_EQ(store->pool().free(), 14u);
}

// A sequence that is destroyed without end(), on an error or with its session.
TEST(kv, a_sequence_that_is_destroyed_gives_its_pages_back) {
  TestPlatform platform;
  auto store = KvStore::create(platform, kv_shape(16));
  REQUIRE(store.has_value());
  {
    Text known(*store, counted_from(11)), unknown(*store, counted_from(11, 50)), replaced(*store);
    unknown.remember = false;
    REQUIRE(known.compute(*store, 11));
    REQUIRE(unknown.compute(*store, 11));
    Text fork(*store, counted_from(11));
    store->fork(known.sequence, fork.sequence, 9);
    EXPECT_EQ(store->pool().held(), 6u);
    replaced = std::move(unknown);
    EXPECT_EQ(store->pool().held(), 6u);
    replaced = Text(*store);
    EXPECT_EQ(store->pool().held(), 3u);
  }
  EXPECT_EQ(store->pool().held(), 0u);
  EXPECT_EQ(store->pool().idle(), 2u);  // the whole pages of the text that was remembered
  EXPECT(store->consistent());
}

TEST(kv, nothing_is_allocated_after_creation_and_everything_given_back) {
  TestPlatform platform;
  i64 live = host::live_allocations();
  {
    auto store = KvStore::create(platform, kv_shape(16));
    REQUIRE(store.has_value());
    Text a(*store, counted_from(20)), b(*store, counted_from(20));
    u64 before = host::allocation_count();
    REQUIRE(a.compute(*store, 20));
    b.adopt(*store);
    REQUIRE(b.compute(*store, 20));
    a.end(*store);
    b.end(*store);
    EXPECT_EQ(host::allocation_count(), before);
  }
  for (u64 n = 1; n <= 5; n++) {
    host::fail_allocation(n);
    auto store = KvStore::create(platform, kv_shape(16));
    host::fail_allocation(0);
    EXPECT(!store.has_value());
  }
  EXPECT_EQ(host::live_allocations(), live);
  EXPECT_EQ(platform.live_page_bytes(), 0u);
}
