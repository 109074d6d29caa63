// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the prefix cache: a hash table of chained pages.
#include "ai/engine/prefix_cache.h"

#include <bit>

#include "kernel/base/wipe.h"

namespace ai {

u64 PrefixCache::bytes(u32 pages, u32 window_pages, u32 page_positions) {
  return u64{pages} * (sizeof(Entry) + page_positions * sizeof(TokenId)) +
         u64{std::bit_ceil(pages | 1)} * 2 * sizeof(PageId) + u64{window_pages} * sizeof(PageId);
}

Result<PrefixCache> PrefixCache::create(u32 pages, u32 window_pages, u32 page_positions) {
  PrefixCache cache;
  TRY(cache.entries_.resize(pages));
  TRY(cache.tokens_.resize(usize{pages} * page_positions));
  TRY(cache.buckets_.resize(usize{std::bit_ceil(pages | 1)} * 2));
  for (PageId& first : cache.buckets_) first = kNoPage;
  TRY(cache.owners_.resize(window_pages));
  for (PageId& owner : cache.owners_) owner = kNoPage;
  cache.page_positions_ = page_positions;
  return cache;
}

u32 PrefixCache::bucket(Serial parent, TokenId first) const {
  u64 h = (parent + 1) * 0x9e3779b97f4a7c15 ^ (u64{first} + 1) * 0xc2b2ae3d27d4eb4f;
  h = (h ^ (h >> 32)) * 0x9e3779b97f4a7c15;
  return static_cast<u32>(h >> 32) & static_cast<u32>(buckets_.size() - 1);
}

PageId PrefixCache::find(Serial parent, std::span<const TokenId> wanted) const {
  ASSERT(wanted.size() == page_positions_);
  PageId page = buckets_[bucket(parent, wanted[0])];
  for (; page != kNoPage; page = entries_[page].next)
    if (entries_[page].parent == parent && std::ranges::equal(tokens(page), wanted)) break;
  return page;
}

PrefixCache::Partial PrefixCache::find_partial(Serial parent,
                                               std::span<const TokenId> wanted) const {
  Partial best;
  if (wanted.empty()) return best;
  PageId page = buckets_[bucket(parent, wanted[0])];
  for (; page != kNoPage; page = entries_[page].next) {
    if (entries_[page].parent != parent) continue;
    std::span<const TokenId> have = tokens(page);
    usize most = std::min(have.size(), wanted.size());
    auto part = std::mismatch(have.begin(), have.begin() + most, wanted.begin()).first;
    u32 common = static_cast<u32>(part - have.begin());
    if (common > best.common) best = {page, common};
  }
  return best;
}

PrefixCache::Serial PrefixCache::insert(PageId page, Serial parent,
                                        std::span<const TokenId> tokens) {
  ASSERT(!known(page) && !tokens.empty() && tokens.size() <= page_positions_);
  std::ranges::copy(tokens, tokens_.begin() + usize{page} * page_positions_);
  u32 b = bucket(parent, tokens[0]);
  entries_[page] = {.serial = ++last_serial_,
                    .parent = parent,
                    .count = static_cast<u32>(tokens.size()),
                    .bucket = b,
                    .next = buckets_[b]};
  buckets_[b] = page;
  size_++;
  return last_serial_;
}

void PrefixCache::forget(PageId page) {
  if (!known(page)) return;
  PageId* link = &buckets_[entries_[page].bucket];
  while (*link != page) link = &entries_[*link].next;
  *link = entries_[page].next;
  if (window_page(page) != kNoPage) detach(window_page(page));
  // Wipes the tokens: a text must not stay in memory after it was forgotten.
  base::wipe(tokens_.data() + usize{page} * page_positions_, page_positions_ * sizeof(TokenId));
  entries_[page] = {};
  size_--;
}

void PrefixCache::attach(PageId page, PageId window_page) {
  ASSERT(known(page) && entries_[page].window_page == kNoPage && !attached(window_page));
  entries_[page].window_page = window_page;
  owners_[window_page] = page;
}

void PrefixCache::detach(PageId window_page) {
  PageId owner = std::exchange(owners_[window_page], kNoPage);
  if (owner != kNoPage) entries_[owner].window_page = kNoPage;
}

}  // namespace ai
