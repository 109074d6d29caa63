// SPDX-License-Identifier: GPL-2.0-or-later
// A text of tests of KV pages: "computing" a position writes the hash of the text up to there into
// both kinds of pages, so a page that is mixed up, lost or overwritten is found. The test's thread
// calls it; nothing here waits.
#pragma once

#include <random>
#include <vector>

#include "ai/engine/kv_store.h"
#include "kernel/base/bytes.h"

constexpr u32 kPositions = 4;  // a page
constexpr usize kPageBytes = kPositions * sizeof(u64);
constexpr u32 kMostRows = 8;

// A store without layers that have a window, or with them.
inline ai::KvShape kv_shape(u32 pages, u32 window = 0, u32 window_pages = 0) {
  return {.pages = pages,
          .page_bytes = kPageBytes,
          .page_positions = kPositions,
          .window = window,
          .window_pages = window_pages,
          .window_page_bytes = window > 0 ? kPageBytes : 0,
          .most_rows = kMostRows};
}

struct Text {
  std::vector<ai::TokenId> tokens;
  ai::Sequence sequence;
  u32 window;
  bool remember = true;

  explicit Text(ai::KvStore& store, std::vector<ai::TokenId> t = {}, u32 sees = 0)
      : tokens(std::move(t)), sequence(MUST(store.make_sequence(64 * kPositions))), window(sees) {}
  static u64& slot(const ai::KvPages& pages, u32 position) {
    ai::PageId page = pages.pages[position / kPositions];
    ASSERT(page != ai::kNoPage);
    return reinterpret_cast<u64*>(pages.pool + page * kPageBytes)[position % kPositions];
  }
  static u64 chain(u64 before, ai::TokenId token) {
    return (before ^ (token + 1)) * 0x9e3779b97f4a7c15 + 1;
  }
  u64 hash(u32 position) const {
    u64 h = 0;
    for (u32 i = 0; i <= position; i++) h = chain(h, tokens[i]);
    return h;
  }
  // The pages hold what the next position sees: everything, or its window.
  bool right(ai::KvStore& store) const {
    for (u32 i = 0; i < sequence.length; i++)
      if (slot(store.pages(sequence), i) != hash(i)) return false;
    u32 next = sequence.length + 1;
    for (u32 i = next - std::min(next, window); i < sequence.length; i++)
      if (slot(store.window_pages(sequence), i) != ~hash(i)) return false;
    return true;
  }
  bool compute(ai::KvStore& store, u32 until) {
    for (u32 from = sequence.length; from < until; from = sequence.length) {
      u32 to = window == 0 ? until : std::min(until, from + kMostRows);
      if (!store.extend(sequence, to).has_value()) return false;
      for (u32 i = from; i < to; i++) slot(store.pages(sequence), i) = hash(i);
      for (u32 i = from; i < to && window > 0; i++)
        slot(store.window_pages(sequence), i) = ~hash(i);
      store.commit(sequence, tokens, to, remember);
    }
    return true;
  }
  void adopt(ai::KvStore& store) {
    store.adopt(sequence, tokens, static_cast<u32>(tokens.size()) - 1);
  }
  void end(ai::KvStore& store) { store.end(sequence, tokens, remember); }
  // window pages that it holds
  u32 held() const {
    u32 count = 0;
    for (ai::PageId page : sequence.window_pages.view()) count += page != ai::kNoPage;
    return count;
  }
};

inline std::vector<ai::TokenId> counted_from(u32 n, ai::TokenId first = 0) {
  std::vector<ai::TokenId> tokens;
  tokens.reserve(n);
  for (u32 i = 0; i < n; i++) tokens.push_back(first + i);
  return tokens;
}

// Texts that begin, grow, part and end as drawn from a seed. All of them must stay right.
struct RandomTexts {
  std::mt19937 random;
  u32 window = 0;
  u32 most_first = 20, most_tokens = 30;  // tokens that a text begins with, and that it may have
  bool repeats = false;                   // most texts have one token only, so they share more
  std::vector<Text> texts = {};
  u64 adopted = 0, forks = 0, late = 0, full = 0, unusable = 0;

  u32 below(u32 n) { return static_cast<u32>(random() % n); }

  void begin(ai::KvStore& store) {
    Text t(store, {}, window);
    u32 kinds = repeats && below(3) != 0 ? 1 : 2;
    for (u32 n = 1 + below(most_first); n > 0; n--) t.tokens.push_back(below(kinds));
    t.remember = below(8) != 0;
    unusable += store.known(t.tokens) > store.match(t.tokens);
    if (t.remember) t.adopt(store);
    adopted += t.sequence.length;
    texts.push_back(std::move(t));
  }
  void grow(ai::KvStore& store, Text& t) {
    u32 size = static_cast<u32>(t.tokens.size());
    if (t.sequence.length == size) t.tokens.push_back(below(2)), size++;
    u32 until = t.sequence.length + 1 + below(size - t.sequence.length);
    full += !t.compute(store, until);
    if (below(4) == 0 && store.extend(t.sequence, t.sequence.length + below(6)).has_value())
      store.cut(t.sequence);
  }
  void fork(ai::KvStore& store, const Text& t) {
    Text child(store, t.tokens, window);
    u32 length = 1 + below(t.sequence.length);
    bool forked = store.fork(t.sequence, child.sequence, length);
    forks += forked;
    late += !forked;
    child.tokens.resize(length);
    texts.push_back(std::move(child));
  }
  // Does one thing. Returns false if a text is not right any more.
  bool step(ai::KvStore& store) {
    u32 what = below(10);
    if (texts.size() < 5 && what < 3) {
      begin(store);
    } else if (!texts.empty()) {
      u32 n = below(static_cast<u32>(texts.size()));
      if (what < 7 && texts[n].tokens.size() < most_tokens) {
        grow(store, texts[n]);
      } else if (what == 7 && texts.size() < 5 && texts[n].sequence.length > 0) {
        fork(store, texts[n]);
      } else {
        texts[n].end(store);
        texts.erase(texts.begin() + n);
      }
    }
    for (const Text& t : texts)
      if (!t.right(store)) return false;
    return store.consistent();
  }
};
