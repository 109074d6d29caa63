// SPDX-License-Identifier: GPL-2.0-or-later
// Remembers which tokens the KV pages hold, so that a prompt starts where an earlier text with the
// same beginning left off. KvStore owns it; nothing here waits.
//
// Pages form chains: an entry is found by its predecessor's serial number and by its own tokens.
// Both are compared in full, and a serial is never reused, so no hash collision can join two texts.
// Whole pages are shared. Of the page where two texts part, the common part is copied.
//
// An entry belongs to a page of the layers that see the whole text. It may also know the page that
// holds the same positions in the layers with a window, as long as that one was not evicted.
#pragma once

#include "ai/attention/kv_cache.h"
#include "ai/tokenizer/tokenizer.h"

namespace ai {

class PrefixCache {
 public:
  using Serial = u64;
  static constexpr Serial kRoot = 0;  // the predecessor of a text's first page

  // Each page holds `page_positions` tokens. Nothing allocates after create().
  static Result<PrefixCache> create(u32 pages, u32 window_pages, u32 page_positions);
  static u64 bytes(u32 pages, u32 window_pages, u32 page_positions);

  // Returns the page after `parent` that holds exactly `tokens`, one whole page, or kNoPage.
  PageId find(Serial parent, std::span<const TokenId> tokens) const;
  struct Partial {
    PageId page = kNoPage;
    u32 common = 0;  // tokens
  };
  // Returns the page after `parent` that shares the longest beginning with `tokens`.
  Partial find_partial(Serial parent, std::span<const TokenId> tokens) const;

  // Adds a page, which holds 1 to page_positions tokens. The caller tells the pool to keep it. A
  // page may be added only once.
  Serial insert(PageId page, Serial parent, std::span<const TokenId> tokens);
  // Removes a page, because the pool gave it to another sequence. Its window page is detached.
  void forget(PageId page);

  // Adds the window page of a known page that has none.
  void attach(PageId page, PageId window_page);
  // Takes a window page from its entry. Does nothing if it has none.
  void detach(PageId window_page);
  bool attached(PageId window_page) const { return owners_[window_page] != kNoPage; }
  // Returns kNoPage if the page has none.
  PageId window_page(PageId page) const { return entries_[page].window_page; }
  bool known(PageId page) const { return entries_[page].serial != kRoot; }
  Serial serial(PageId page) const { return entries_[page].serial; }
  u32 size() const { return size_; }

 private:
  struct Entry {
    Serial serial = kRoot, parent = kRoot;
    u32 count = 0;  // tokens
    u32 bucket = 0;
    PageId next = kNoPage;  // the next entry of the same bucket
    PageId window_page = kNoPage;
  };
  std::span<const TokenId> tokens(PageId page) const {
    return tokens_.view().subspan(usize{page} * page_positions_, entries_[page].count);
  }
  u32 bucket(Serial parent, TokenId first) const;

  Vector<Entry> entries_;   // (pages)
  Vector<TokenId> tokens_;  // (pages, page_positions)
  Vector<PageId> buckets_;  // (power of two) by predecessor and first token
  Vector<PageId> owners_;   // (window pages) the page to whose entry each is attached
  u32 page_positions_ = 0, size_ = 0;
  Serial last_serial_ = kRoot;
};

}  // namespace ai
