// SPDX-License-Identifier: GPL-2.0-or-later
// The KV pages of every sequence. Sequences share the pages of a common beginning; a page is copied
// only where two texts part. The engine owns the store; nothing here waits.
#pragma once

#include "ai/attention/kv_cache.h"
#include "ai/engine/prefix_cache.h"

namespace ai {

// The computed part of one text and the pages that hold it.
struct Sequence {
  PageRun pages;
  u32 length = 0;  // positions whose keys and values have been computed
  // The number of leading whole pages that the prefix cache knows, and the serial number of the
  // last one.
  u32 known_pages = 0;
  PrefixCache::Serial serial = PrefixCache::kRoot;
};

class KvStore {
 public:
  static Result<KvStore> create(Platform& platform, u32 pages, usize page_bytes,
                                u32 page_positions);
  // bytes of bookkeeping, without the pages themselves
  static u64 book_bytes(u32 pages, u32 page_positions);

  // Returns an empty sequence with room for `positions`. It must not outlive the store.
  Result<Sequence> make_sequence(u32 positions);
  // Gives an empty sequence the cached beginning of `tokens`, at most `most` positions.
  void adopt(Sequence& sequence, std::span<const TokenId> tokens, u32 most);
  // Returns how many positions adopt() would find in whole pages.
  u32 match(std::span<const TokenId> tokens) const;
  // Makes room for positions [length, until) in pages that no other sequence sees. On kFull nothing
  // has changed.
  Result<void> extend(Sequence& sequence, u32 until);
  // Records that the positions up to `length` are computed. With `remember`, whole pages enter the
  // prefix cache.
  void commit(Sequence& sequence, std::span<const TokenId> tokens, u32 length, bool remember);
  // Gives back the pages after `length`. They held tokens that were guessed wrongly.
  void cut(Sequence& sequence);
  // Lets the empty sequence `to` share the first `length` positions of `from`.
  void fork(const Sequence& from, Sequence& to, u32 length);
  // Gives every page back and empties the sequence. With `remember`, the prefix cache also keeps
  // the partly filled last page. Destroying a sequence instead leaves only its whole pages in the
  // cache.
  void end(Sequence& sequence, std::span<const TokenId> tokens, bool remember);
  // Evicts every idle page.
  void clear();

  const PagePool& pool() const { return pool_; }
  Byte* memory() { return pool_.data(0); }
  std::span<Byte> page(PageId page) { return {pool_.data(page), pool_.page_bytes()}; }
  u32 page_positions() const { return page_positions_; }
  u32 pages_for(u32 positions) const { return (positions + page_positions_ - 1) / page_positions_; }
  u32 available() const { return pool_.free() + pool_.idle(); }
  bool consistent() const;

 private:
  KvStore(PagePool pool, PrefixCache cache, u32 page_positions)
      : pool_(std::move(pool)), cache_(std::move(cache)), page_positions_(page_positions) {}
  Result<PageId> take();
  void adopt_part(Sequence& sequence, std::span<const TokenId> rest);
  bool private_page(PageId page) const {
    return pool_.references(page) == 1 && !cache_.known(page);
  }

  PagePool pool_;
  PrefixCache cache_;
  u32 page_positions_;
};

}  // namespace ai
