// SPDX-License-Identifier: GPL-2.0-or-later
// Which tokens the KV pages hold, so that a prompt begins where an earlier text left off.
//
// Pages form chains: an entry is known by its predecessor's serial number and by its own tokens,
// both compared in full (a serial is never given twice, so no hash collision can join two texts).
// Whole pages are shared; of the page where two texts part the common part is copied.
#pragma once

#include "ai/attention/kv_cache.h"
#include "ai/tokenizer/tokenizer.h"

namespace ai {

class PrefixCache {
 public:
  using Serial = u64;
  static constexpr Serial kRoot = 0;  // the predecessor of a text's first page

  // `page_positions` tokens a page. Allocates nothing afterwards.
  static Result<PrefixCache> create(u32 pages, u32 page_positions);
  static u64 bytes(u32 pages, u32 page_positions);

  // The page that holds exactly `tokens` (a whole page) after `parent`; kNoPage when none does.
  PageId find(Serial parent, std::span<const TokenId> tokens) const;
  struct Partial {
    PageId page = kNoPage;
    u32 common = 0;  // tokens
  };
  // The page after `parent` that has the longest beginning in common with `tokens`.
  Partial find_partial(Serial parent, std::span<const TokenId> tokens) const;

  // Makes a page known; the caller tells the pool to keep it. One to page_positions tokens.
  // A page is known at most once.
  Serial insert(PageId page, Serial parent, std::span<const TokenId> tokens);
  // The pool gave the page to somebody else.
  void forget(PageId page);
  bool known(PageId page) const { return entries_[page].serial != kRoot; }
  Serial serial(PageId page) const { return entries_[page].serial; }
  u32 size() const { return size_; }

 private:
  struct Entry {
    Serial serial = kRoot, parent = kRoot;
    u32 count = 0;  // tokens
    u32 bucket = 0;
    PageId next = kNoPage;  // in the bucket
  };
  std::span<const TokenId> tokens(PageId page) const {
    return tokens_.view().subspan(usize{page} * page_positions_, entries_[page].count);
  }
  u32 bucket(Serial parent, TokenId first) const;

  Vector<Entry> entries_;   // (pages)
  Vector<TokenId> tokens_;  // (pages, page_positions)
  Vector<PageId> buckets_;  // (power of two) by predecessor and first token
  u32 page_positions_ = 0, size_ = 0;
  Serial last_serial_ = kRoot;
};

}  // namespace ai
