// SPDX-License-Identifier: GPL-2.0-or-later
// The KV pages of every sequence. Sequences share the pages of a common beginning; a page is copied
// only where two texts part. The engine owns the store; nothing here waits.
//
// There are two pools. Layers that see the whole text keep all of it in pages of the first. Layers
// that see only a window keep what the next position sees in pages of the second, and give the
// pages behind the window back while the text goes on. The prefix cache keeps those too until they
// are evicted, so a text can begin in the middle of another one only where a whole window is left.
#pragma once

#include "ai/attention/kv_cache.h"
#include "ai/engine/prefix_cache.h"

namespace ai {

struct KvShape {
  u32 pages = 0;
  usize page_bytes = 0;
  u32 page_positions = 0;
  // For the layers with a window; 0 if there are none.
  u32 window = 0;  // positions
  u32 window_pages = 0;
  usize window_page_bytes = 0;
  u32 most_rows = 0;  // positions of one text that a step computes at most

  // bytes of bookkeeping, without the pages themselves
  u64 book_bytes() const;
};

// Returns how many window pages a text holds at most while a step computes `rows` positions of it.
u64 window_span(u32 window, u32 rows, u32 page_positions);

// The computed part of one text and the pages that hold it.
struct Sequence {
  PageRun pages;
  PageRun window_pages;  // with the same indices; empty if no layer has a window
  u32 length = 0;        // positions whose keys and values have been computed
  // The first window page that is still needed. Those before it are kNoPage.
  u32 window_first = 0;
  // The number of leading whole pages that the prefix cache knows, and the serial number of the
  // last one.
  u32 known_pages = 0;
  PrefixCache::Serial serial = PrefixCache::kRoot;
};

class KvStore {
 public:
  static Result<KvStore> create(Platform& platform, const KvShape& shape);

  // Returns an empty sequence with room for `positions`. It must not outlive the store.
  Result<Sequence> make_sequence(u32 positions);
  // Gives an empty sequence the cached beginning of `tokens`, at most `most` positions.
  void adopt(Sequence& sequence, std::span<const TokenId> tokens, u32 most);
  // Returns how many positions adopt() would find in whole pages.
  u32 match(std::span<const TokenId> tokens) const;
  // Returns how many positions in whole pages the prefix cache knows, also where adopt() could not
  // begin because the window was evicted.
  u32 known(std::span<const TokenId> tokens) const;
  // Makes room for positions [length, until) in pages that no other sequence sees. In layers with a
  // window it is room for most_rows positions at most. Directly after commit() the same call cannot
  // fail, because the pages that commit() gave back suffice: so a text whose pages were taken at
  // once can be read to its end. On kFull nothing has changed.
  Result<void> extend(Sequence& sequence, u32 until);
  // Records that the positions up to `length` are computed, and gives back the pages behind the
  // window. With `remember`, whole pages enter the prefix cache.
  void commit(Sequence& sequence, std::span<const TokenId> tokens, u32 length, bool remember);
  // Gives back the pages after `length`. They held tokens that were guessed wrongly.
  void cut(Sequence& sequence);
  // Gives back the window pages that are not needed to go on at position `length` or later. The
  // positions up to there will not be computed but read from a file.
  void skip_to(Sequence& sequence, u32 length);
  // Lets the empty sequence `to` share the first `length` positions of `from`. Returns false, and
  // changes nothing, if `from` has given back window pages that `to` would need.
  bool fork(const Sequence& from, Sequence& to, u32 length);
  // Gives every page back and empties the sequence. With `remember`, the prefix cache also keeps
  // the partly filled last page. Destroying a sequence instead leaves only its whole pages in the
  // cache.
  void end(Sequence& sequence, std::span<const TokenId> tokens, bool remember);
  // Evicts every idle page.
  void clear();

  const PagePool& pool() const { return pool_; }
  const PagePool& window_pool() const { return window_pool_; }
  u32 held() const { return pool_.held() + window_pool_.held(); }
  KvPages pages(const Sequence& sequence) { return {pool_.data(0), sequence.pages.view()}; }
  KvPages window_pages(const Sequence& sequence) {
    return {window_pool_.data(0), sequence.window_pages.view()};
  }
  std::span<Byte> bytes(PageId page) { return {pool_.data(page), pool_.page_bytes()}; }
  std::span<Byte> window_bytes(PageId page) {
    return {window_pool_.data(page), window_pool_.page_bytes()};
  }
  u32 page_positions() const { return shape_.page_positions; }
  u32 pages_for(u32 positions) const {
    return (positions + page_positions() - 1) / page_positions();
  }
  // Returns the first window page that is needed to compute positions from `length` on. It changes
  // only with whole pages, so a text can be shared and saved up to its last whole page.
  u32 window_first(u32 length) const {
    u32 whole = length - length % page_positions();
    return (whole + 1 - std::min(whole + 1, shape_.window)) / page_positions();
  }
  bool has_windows() const { return shape_.window > 0; }
  u32 window() const { return shape_.window; }  // positions; 0 without such layers
  // Returns true if a text of `positions` could take its pages now.
  bool has_room(u32 positions) const;
  bool consistent() const;

 private:
  KvStore(PagePool pool, PagePool window_pool, PrefixCache cache, const KvShape& shape)
      : pool_(std::move(pool)),
        window_pool_(std::move(window_pool)),
        cache_(std::move(cache)),
        shape_(shape),
        window_span_(window_span(shape.window, shape.most_rows, shape.page_positions)) {}
  // The whole pages that the prefix cache has of a text.
  struct Found {
    u32 known = 0;   // pages
    u32 usable = 0;  // of those, the ones behind which a text can go on
  };
  Found find(std::span<const TokenId> tokens) const;
  PageId take();
  PageId take_window();
  void forget(PageId page);
  void adopt_part(Sequence& sequence, std::span<const TokenId> rest);
  void insert(Sequence& sequence, u32 index, std::span<const TokenId> tokens);
  void keep_window(Sequence& sequence, u32 index, PageId page);
  u32 window_pages_until(const Sequence& sequence, u32 until) const;
  static u32 available(const PagePool& pool) { return pool.free() + pool.idle(); }
  bool private_page(PageId page) const {
    return pool_.references(page) == 1 && !cache_.known(page);
  }
  bool private_window(PageId page) const {
    return page == kNoPage || (window_pool_.references(page) == 1 && !cache_.attached(page));
  }

  PagePool pool_, window_pool_;
  PrefixCache cache_;
  KvShape shape_;
  u64 window_span_;  // the most window pages of one text
};

}  // namespace ai
