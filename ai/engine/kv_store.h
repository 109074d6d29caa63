// SPDX-License-Identifier: GPL-2.0-or-later
// The pages of every sequence: shared beginnings, copies only where two texts part, exact books.
#pragma once

#include "ai/attention/kv_cache.h"
#include "ai/engine/prefix_cache.h"

namespace ai {

// The computed part of one text, with the pages it is in.
struct Sequence {
  PageRun pages;
  u32 length = 0;  // positions whose keys and values are there
  // Leading whole pages known to the prefix cache, and the serial number of the last of them.
  u32 known_pages = 0;
  PrefixCache::Serial serial = PrefixCache::kRoot;
};

class KvStore {
 public:
  static Result<KvStore> create(Platform& platform, u32 pages, usize page_bytes,
                                u32 page_positions);
  static u64 book_bytes(u32 pages, u32 page_positions);  // beside the pages themselves

  // An empty sequence of at most `positions`. It must not outlive the store.
  Result<Sequence> make_sequence(u32 positions);
  // An empty sequence takes what an earlier text left of `tokens`, at most `most` positions.
  void adopt(Sequence& sequence, std::span<const TokenId> tokens, u32 most);
  // Positions that adopt() would find in whole pages.
  u32 match(std::span<const TokenId> tokens) const;
  // Room for positions [length, until), in pages nobody else sees. kFull changes nothing.
  Result<void> extend(Sequence& sequence, u32 until);
  // The positions up to `length` are computed. Whole pages become known when `remember` says so.
  void commit(Sequence& sequence, std::span<const TokenId> tokens, u32 length, bool remember);
  // Gives back the pages behind `length` (drafts that were wrong).
  void cut(Sequence& sequence);
  // `to`, which is empty, sees the first `length` positions of `from`.
  void fork(const Sequence& from, Sequence& to, u32 length);
  // Every page goes back and the sequence is empty. The last page's part is remembered with
  // `remember`; a sequence that is merely destroyed leaves its whole pages as they are known.
  void end(Sequence& sequence, std::span<const TokenId> tokens, bool remember);
  // Forgets every idle page.
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
