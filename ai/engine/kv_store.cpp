// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the KV pages of every sequence: sharing of common beginnings, copying where two texts
// part, and eviction.
#include "ai/engine/kv_store.h"

namespace ai {

u64 KvStore::book_bytes(u32 pages, u32 page_positions) {
  return PagePool::book_bytes(pages) + PrefixCache::bytes(pages, page_positions);
}

Result<KvStore> KvStore::create(Platform& platform, u32 pages, usize page_bytes,
                                u32 page_positions) {
  PrefixCache cache = TRY(PrefixCache::create(pages, page_positions));
  PagePool pool = TRY(PagePool::create(platform, pages, page_bytes));
  return KvStore(std::move(pool), std::move(cache), page_positions);
}

Result<PageId> KvStore::take() {
  PagePool::Taken taken = TRY(pool_.take());
  if (taken.was_idle) cache_.forget(taken.page);
  return taken.page;
}

u32 KvStore::match(std::span<const TokenId> tokens) const {
  u32 length = 0;
  PrefixCache::Serial serial = PrefixCache::kRoot;
  for (; length + page_positions_ <= tokens.size(); length += page_positions_) {
    PageId page = cache_.find(serial, tokens.subspan(length, page_positions_));
    if (page == kNoPage) break;
    serial = cache_.serial(page);
  }
  return length;
}

Result<Sequence> KvStore::make_sequence(u32 positions) {
  return Sequence{.pages = TRY(PageRun::create(pool_, pages_for(positions)))};
}

void KvStore::adopt(Sequence& sequence, std::span<const TokenId> tokens, u32 most) {
  ASSERT(sequence.pages.empty() && sequence.length == 0 && most <= tokens.size());
  while (sequence.length + page_positions_ <= most) {
    PageId page = cache_.find(sequence.serial, tokens.subspan(sequence.length, page_positions_));
    if (page == kNoPage) break;
    pool_.hold(page);
    sequence.pages.push_back(page);
    sequence.length += page_positions_;
    sequence.known_pages++;
    sequence.serial = cache_.serial(page);
  }
  adopt_part(sequence, tokens.subspan(sequence.length, most - sequence.length));
}

// Copies the beginning of the next page from the cached text that shares most of it.
void KvStore::adopt_part(Sequence& sequence, std::span<const TokenId> rest) {
  rest = rest.first(std::min<usize>(rest.size(), page_positions_));
  PrefixCache::Partial part = cache_.find_partial(sequence.serial, rest);
  if (part.common == 0) return;
  pool_.hold(part.page);  // hold the page, or take() below might evict it before it is copied
  Result<PageId> copy = take();
  if (copy.has_value()) {
    std::memcpy(pool_.data(*copy), pool_.data(part.page), pool_.page_bytes());
    sequence.pages.push_back(*copy);
    sequence.length += part.common;
  }
  pool_.release(part.page);
}

Result<void> KvStore::extend(Sequence& sequence, u32 until) {
  ASSERT(until >= sequence.length);
  u32 first = sequence.length / page_positions_, wanted = pages_for(until);
  usize before = sequence.pages.size();
  // Only the page that contains position `length` can be shared with another sequence. Later pages
  // were taken for this sequence alone.
  bool copy = until > sequence.length && first < before && !private_page(sequence.pages[first]);
  usize more = (wanted > before ? wanted - before : 0) + (copy ? 1 : 0);
  if (more > available()) return fail(Errc::kFull, "every KV page is in use");
  if (copy) {
    PageId fresh = MUST(take());
    std::memcpy(pool_.data(fresh), pool_.data(sequence.pages[first]), pool_.page_bytes());
    sequence.pages.replace(first, fresh);
  }
  while (sequence.pages.size() < wanted) sequence.pages.push_back(MUST(take()));
  return {};
}

void KvStore::commit(Sequence& sequence, std::span<const TokenId> tokens, u32 length,
                     bool remember) {
  ASSERT(length <= tokens.size() && pages_for(length) <= sequence.pages.size());
  sequence.length = length;
  // A sequence that is not remembered has no entry in the prefix cache that a new page could
  // follow.
  while (remember && (sequence.known_pages + 1) * page_positions_ <= length) {
    PageId page = sequence.pages[sequence.known_pages];
    auto part = tokens.subspan(usize{sequence.known_pages} * page_positions_, page_positions_);
    PageId twin = cache_.find(sequence.serial, part);
    // two requests computed the same tokens at once: same bytes, so one copy goes
    if (twin != kNoPage) {
      pool_.hold(twin);
      sequence.pages.replace(sequence.known_pages, twin);
    } else {
      cache_.insert(page, sequence.serial, part);
      pool_.set_keep(page, true);
    }
    sequence.serial = cache_.serial(twin != kNoPage ? twin : page);
    sequence.known_pages++;
  }
}

void KvStore::cut(Sequence& sequence) {
  ASSERT(sequence.known_pages * page_positions_ <= sequence.length);
  while (sequence.pages.size() > pages_for(sequence.length)) sequence.pages.pop_back();
}

void KvStore::fork(const Sequence& from, Sequence& to, u32 length) {
  ASSERT(to.pages.empty() && length <= from.length);
  for (u32 i = 0; i < pages_for(length); i++) {
    pool_.hold(from.pages[i]);
    to.pages.push_back(from.pages[i]);
  }
  to.length = length;
  to.known_pages = std::min(from.known_pages, length / page_positions_);
  to.serial =
      to.known_pages == 0 ? PrefixCache::kRoot : cache_.serial(to.pages[to.known_pages - 1]);
}

void KvStore::end(Sequence& sequence, std::span<const TokenId> tokens, bool remember) {
  u32 whole = sequence.length / page_positions_, rest = sequence.length % page_positions_;
  if (remember && rest > 0 && whole == sequence.known_pages) {
    PageId page = sequence.pages[whole];
    auto part = tokens.subspan(usize{whole} * page_positions_, rest);
    if (private_page(page) && cache_.find_partial(sequence.serial, part).common < rest) {
      cache_.insert(page, sequence.serial, part);
      pool_.set_keep(page, true);
    }
  }
  sequence.pages.clear();
  sequence.length = sequence.known_pages = 0;
  sequence.serial = PrefixCache::kRoot;
}

void KvStore::clear() {
  for (PageId page = 0; page < pool_.total(); page++)
    if (cache_.known(page) && pool_.references(page) == 0) {
      cache_.forget(page);
      pool_.set_keep(page, false);
    }
}

// Checks that a page is idle exactly when the prefix cache knows it and no sequence holds it.
bool KvStore::consistent() const {
  u32 known_idle = 0;
  for (PageId page = 0; page < pool_.total(); page++)
    known_idle += cache_.known(page) && pool_.references(page) == 0;
  return pool_.consistent() && known_idle == pool_.idle();
}

}  // namespace ai
