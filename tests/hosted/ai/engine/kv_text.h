// SPDX-License-Identifier: GPL-2.0-or-later
// A text of tests of KV pages: "computing" a position writes the hash of the text up to there into
// both kinds of pages, so a page that is mixed up, lost or overwritten is found. The test's thread
// calls it; nothing here waits.
#pragma once

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
