// SPDX-License-Identifier: GPL-2.0-or-later
// Pages of layers with a window: a text holds what its next position sees and no more, and goes on
// from the prefix cache only where a whole window is left.
#include <random>

#include "arch/host/memory.h"
#include "kernel/base/test.h"
#include "tests/hosted/ai/engine/kv_text.h"
#include "tests/hosted/test_death.h"
#include "tests/hosted/test_platform.h"

namespace {

using ai::KvStore;
using ai::TokenId;

constexpr u32 kWindow = 10;  // positions: up to four pages of four

Text windowed(KvStore& store, std::vector<TokenId> tokens) {
  return Text(store, std::move(tokens), kWindow);
}

}  // namespace

TEST(kv_window, a_text_holds_its_window_however_long_it_grows) {
  TestPlatform platform;
  u64 most = ai::window_span(kWindow, kMostRows, kPositions);
  EXPECT_EQ(most, 6u);
  for (bool remember : {true, false}) {
    auto store = KvStore::create(platform, kv_shape(64, kWindow, static_cast<u32>(most)));
    REQUIRE(store.has_value());
    Text text = windowed(*store, counted_from(200));
    text.remember = remember;
    for (u32 length = 1; length <= 200; length++) {
      REQUIRE(text.compute(*store, length));
      REQUIRE(text.right(*store));
      EXPECT(text.held() <= 4);
      EXPECT_EQ(store->window_pool().held(), text.held());
      REQUIRE(store->consistent());
    }
    EXPECT_EQ(store->pool().held(), 50u);
    // The pages behind the window are kept for other texts as long as there is room.
    EXPECT_EQ(store->window_pool().idle(), remember ? 6 - text.held() : 0u);
    text.end(*store);
    EXPECT_EQ(store->held(), 0u);
  }
}

TEST(kv_window, a_text_goes_on_where_a_whole_window_is_left) {
  TestPlatform platform;
  auto store = KvStore::create(platform, kv_shape(64, kWindow, 9));
  REQUIRE(store.has_value());
  Text first = windowed(*store, counted_from(62));
  REQUIRE(first.compute(*store, 62));
  first.end(*store);
  // The end of the text is there, with its partly filled page.
  Text same = windowed(*store, counted_from(63));
  same.adopt(*store);
  EXPECT_EQ(same.sequence.length, 62u);
  EXPECT(same.right(*store));
  EXPECT_EQ(same.held(), 4u);  // of the fifteen pages that it knows, and the copy of the last
  same.end(*store);
  // The middle is known, but its window is not: the text is read from its beginning.
  Text middle = windowed(*store, counted_from(30));
  middle.tokens.push_back(99);
  EXPECT_EQ(store->known(middle.tokens), 28u);
  EXPECT_EQ(store->match(middle.tokens), 0u);
  middle.adopt(*store);
  EXPECT_EQ(middle.sequence.length, 0u);
  REQUIRE(middle.compute(*store, 31));
  EXPECT(middle.right(*store));
  // It found its own pages again, so the text that was known keeps one copy, and has its window
  // now.
  EXPECT_EQ(store->pool().held() + store->pool().idle(), 17u);
  Text again = windowed(*store, counted_from(30));
  again.adopt(*store);
  EXPECT(again.sequence.length >= 28);
  EXPECT(again.right(*store));
  EXPECT(store->consistent());
}

TEST(kv_window, forks_share_what_the_parent_still_has) {
  TestPlatform platform;
  auto store = KvStore::create(platform, kv_shape(64, kWindow, 24));
  REQUIRE(store.has_value());
  Text parent = windowed(*store, counted_from(40));
  REQUIRE(parent.compute(*store, 30));
  Text child = windowed(*store, counted_from(30)), late = windowed(*store, counted_from(30));
  REQUIRE(store->fork(parent.sequence, child.sequence, 29));
  EXPECT_EQ(store->window_pool().held(), parent.held());
  child.tokens[29] = 77;
  REQUIRE(child.compute(*store, 30));
  EXPECT_EQ(store->window_pool().held(), parent.held() + 1);
  REQUIRE(parent.compute(*store, 40));
  EXPECT(parent.right(*store) && child.right(*store));
  // By now the parent has gone too far. The late child finds the pages in the prefix cache.
  EXPECT(!store->fork(parent.sequence, late.sequence, 29));
  EXPECT(late.sequence.pages.empty() && late.sequence.window_pages.empty());
  late.adopt(*store);
  EXPECT_EQ(late.sequence.length, 29u);
  EXPECT(late.right(*store));
  parent.end(*store), child.end(*store), late.end(*store);
  EXPECT_EQ(store->held(), 0u);
  EXPECT(store->consistent());
  store->clear();
  EXPECT_EQ(store->pool().free(), 64u);
  EXPECT_EQ(store->window_pool().free(), 24u);
}

TEST(kv_window, wrong_guesses_across_a_page_border) {
  TestPlatform platform;
  auto store = KvStore::create(platform, kv_shape(64, kWindow, 6));
  REQUIRE(store.has_value());
  Text text = windowed(*store, counted_from(60));
  for (u32 length = 1; length < 50; length++) {
    REQUIRE(text.compute(*store, length));
    REQUIRE(store->extend(text.sequence, length + kMostRows).has_value());
    for (u32 i = length; i < length + kMostRows; i++)
      Text::slot(store->window_pages(text.sequence), i) = 1;
    u32 accepted = length % 3;
    for (u32 i = 0; i < accepted; i++) {
      u32 at = text.sequence.length;
      Text::slot(store->pages(text.sequence), at) = text.hash(at);
      Text::slot(store->window_pages(text.sequence), at) = ~text.hash(at);
      store->commit(text.sequence, text.tokens, at + 1, true);
    }
    length += accepted;
    store->cut(text.sequence);
    REQUIRE(text.right(*store));
    EXPECT(text.held() <= 4);
    REQUIRE(store->consistent());
  }
}

// A text whose pages were taken at once can be read to its end, whatever others take meanwhile.
TEST(kv_window, a_reading_keeps_what_it_will_need) {
  TestPlatform platform;
  auto store = KvStore::create(platform, kv_shape(64, kWindow, 12));
  REQUIRE(store.has_value());
  Text text = windowed(*store, counted_from(120)), greedy = windowed(*store, counted_from(60, 200));
  text.remember = false;
  REQUIRE(store->extend(text.sequence, 120).has_value());
  EXPECT_EQ(text.held(), 6u);
  for (u32 at = 0; at < 120; at += kMostRows) {
    for (u32 i = at; i < at + kMostRows; i++) {
      Text::slot(store->pages(text.sequence), i) = text.hash(i);
      Text::slot(store->window_pages(text.sequence), i) = ~text.hash(i);
    }
    store->commit(text.sequence, text.tokens, at + kMostRows, false);
    REQUIRE(store->extend(text.sequence, 120).has_value());
    REQUIRE(text.right(*store));
    EXPECT(text.held() <= 6);
    REQUIRE(greedy.compute(*store, std::min(60u, at + 5)));
    Text more = windowed(*store, counted_from(40, 400));
    while (more.sequence.length < 40 && more.compute(*store, more.sequence.length + 1)) {
    }
  }
  EXPECT(greedy.right(*store));
}

TEST(kv_window, random_texts_never_see_each_other) {
  TestPlatform platform;
  auto store = KvStore::create(platform, kv_shape(40, kWindow, 14));
  REQUIRE(store.has_value());
  RandomTexts drawn{.random = std::mt19937(2),
                    .window = kWindow,
                    .most_first = 40,
                    .most_tokens = 60,
                    .repeats = true};
  for (u32 round = 0; round < 20000; round++) REQUIRE(drawn.step(*store));
  EXPECT(drawn.adopted > 1000);
  EXPECT(drawn.forks > 100 && drawn.late > 100);
  EXPECT(drawn.full > 10);
  EXPECT(drawn.unusable > 10);
  for (Text& t : drawn.texts) t.end(*store);
  EXPECT_EQ(store->held(), 0u);
  store->clear();
  EXPECT_EQ(store->pool().free(), 40u);
  EXPECT_EQ(store->window_pool().free(), 14u);
}

TEST(kv_window, a_full_pool_is_an_error_that_changes_nothing) {
  TestPlatform platform;
  auto store = KvStore::create(platform, kv_shape(64, kWindow, 7));
  REQUIRE(store.has_value());
  Text a = windowed(*store, counted_from(30)), b = windowed(*store, counted_from(30, 100));
  REQUIRE(a.compute(*store, 30));
  EXPECT(!b.compute(*store, 30));
  u32 whole = store->pool().held(), length = b.sequence.length;
  EXPECT(!b.compute(*store, length + kMostRows));
  EXPECT_EQ(store->pool().held(), whole);
  EXPECT(a.right(*store) && b.right(*store) && store->consistent());
  a.end(*store);
  EXPECT(b.compute(*store, 30) && b.right(*store));
}

TEST(kv_window, nothing_is_allocated_after_creation_and_everything_given_back) {
  TestPlatform platform;
  i64 live = host::live_allocations();
  {
    auto store = KvStore::create(platform, kv_shape(64, kWindow, 16));
    REQUIRE(store.has_value());
    Text a = windowed(*store, counted_from(50)), b = windowed(*store, counted_from(50));
    u64 before = host::allocation_count();
    REQUIRE(a.compute(*store, 50));
    b.adopt(*store);
    REQUIRE(b.compute(*store, 50));
    a.end(*store);
    b.end(*store);
    EXPECT_EQ(host::allocation_count(), before);
  }
  for (u64 n = 1; n <= 8; n++) {
    host::fail_allocation(n);
    auto store = KvStore::create(platform, kv_shape(16, kWindow, 16));
    host::fail_allocation(0);
    EXPECT(!store.has_value());
  }
  EXPECT_EQ(host::live_allocations(), live);
  EXPECT_EQ(platform.live_page_bytes(), 0u);
}
