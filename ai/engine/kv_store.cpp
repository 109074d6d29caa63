// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the KV pages of every sequence: sharing of common beginnings, copying where two texts
// part, and eviction.
#include "ai/engine/kv_store.h"

namespace ai {

u64 KvShape::book_bytes() const {
  return PagePool::book_bytes(pages) + PagePool::book_bytes(window_pages) +
         PrefixCache::bytes(pages, window_pages, page_positions);
}

// The positions that the first new one sees may begin with the last position of a page, and the new
// ones with the last position of another.
u64 window_span(u32 window, u32 rows, u32 page_positions) {
  u64 page = page_positions;
  u64 behind = (std::max(window, 1u) - u64{1} + page - 1) / page;
  return behind + (page - 1 + rows + page - 1) / page;
}

Result<KvStore> KvStore::create(Platform& platform, const KvShape& shape) {
  PrefixCache cache =
      TRY(PrefixCache::create(shape.pages, shape.window_pages, shape.page_positions));
  PagePool pool = TRY(PagePool::create(platform, shape.pages, shape.page_bytes));
  PagePool window_pool =
      TRY(PagePool::create(platform, shape.window_pages, shape.window_page_bytes));
  return KvStore(std::move(pool), std::move(window_pool), std::move(cache), shape);
}

// The callers of take() and take_window() have counted: a page is there.
PageId KvStore::take() {
  PagePool::Taken taken = MUST(pool_.take());
  if (taken.was_idle) forget(taken.page);
  return taken.page;
}

PageId KvStore::take_window() {
  PagePool::Taken taken = MUST(window_pool_.take());
  if (taken.was_idle) cache_.detach(taken.page);
  return taken.page;
}

// Without its entry nobody can find the window page either.
void KvStore::forget(PageId page) {
  PageId window_page = cache_.window_page(page);
  cache_.forget(page);
  if (window_page != kNoPage) window_pool_.set_keep(window_page, false);
}

bool KvStore::has_room(u32 positions) const {
  u64 wanted = pages_for(positions);
  return wanted <= available(pool_) &&
         (!has_windows() || std::min(wanted, window_span_) <= available(window_pool_));
}

KvStore::Found KvStore::find(std::span<const TokenId> tokens) const {
  Found found;
  PrefixCache::Serial serial = PrefixCache::kRoot;
  u32 together = 0;  // the pages before this position whose window pages are there without a gap
  for (u32 at = 0; at + page_positions() <= tokens.size(); at += page_positions()) {
    PageId page = cache_.find(serial, tokens.subspan(at, page_positions()));
    if (page == kNoPage) break;
    serial = cache_.serial(page);
    found.known++;
    together = cache_.window_page(page) == kNoPage ? 0 : together + 1;
    if (!has_windows() || together + window_first(at + page_positions()) >= found.known)
      found.usable = found.known;
  }
  return found;
}

u32 KvStore::match(std::span<const TokenId> tokens) const {
  return find(tokens).usable * page_positions();
}

u32 KvStore::known(std::span<const TokenId> tokens) const {
  return find(tokens).known * page_positions();
}

Result<Sequence> KvStore::make_sequence(u32 positions) {
  u32 pages = pages_for(positions);
  return Sequence{.pages = TRY(PageRun::create(pool_, pages)),
                  .window_pages = TRY(PageRun::create(window_pool_, has_windows() ? pages : 0))};
}

void KvStore::adopt(Sequence& sequence, std::span<const TokenId> tokens, u32 most) {
  ASSERT(sequence.pages.empty() && sequence.length == 0 && most <= tokens.size());
  tokens = tokens.first(most);
  Found found = find(tokens);
  sequence.window_first = window_first(found.usable * page_positions());
  for (u32 i = 0; i < found.usable; i++) {
    PageId page = cache_.find(sequence.serial, tokens.subspan(sequence.length, page_positions()));
    pool_.hold(page);
    sequence.pages.push_back(page);
    if (has_windows()) {
      PageId window_page = i < sequence.window_first ? kNoPage : cache_.window_page(page);
      if (window_page != kNoPage) window_pool_.hold(window_page);
      sequence.window_pages.push_back(window_page);
    }
    sequence.length += page_positions();
    sequence.known_pages++;
    sequence.serial = cache_.serial(page);
  }
  if (found.usable == found.known) adopt_part(sequence, tokens.subspan(sequence.length));
}

// Copies the beginning of the next page from the cached text that shares most of it.
void KvStore::adopt_part(Sequence& sequence, std::span<const TokenId> rest) {
  rest = rest.first(std::min<usize>(rest.size(), page_positions()));
  PrefixCache::Partial part = cache_.find_partial(sequence.serial, rest);
  if (part.common == 0) return;
  PageId window_page = cache_.window_page(part.page);
  if (has_windows() && window_page == kNoPage) return;
  // hold the pages, or take() below might evict them before they are copied
  pool_.hold(part.page);
  if (has_windows()) window_pool_.hold(window_page);
  if (available(pool_) > 0 && (!has_windows() || available(window_pool_) > 0)) {
    sequence.pages.push_back(take());
    std::ranges::copy(bytes(part.page), bytes(sequence.pages[sequence.known_pages]).begin());
    if (has_windows()) {
      sequence.window_pages.push_back(take_window());
      std::ranges::copy(window_bytes(window_page),
                        window_bytes(sequence.window_pages[sequence.known_pages]).begin());
    }
    sequence.length += part.common;
  }
  pool_.release(part.page);
  if (has_windows()) window_pool_.release(window_page);
}

// Returns how many places the sequence's window pages have after it was extended to `until`.
u32 KvStore::window_pages_until(const Sequence& sequence, u32 until) const {
  if (!has_windows()) return 0;
  u64 most = sequence.window_first + window_span_;
  return std::max<u32>(static_cast<u32>(std::min<u64>(pages_for(until), most)),
                       static_cast<u32>(sequence.window_pages.size()));
}

Result<void> KvStore::extend(Sequence& sequence, u32 until) {
  ASSERT(until >= sequence.length);
  PageRun &pages = sequence.pages, &window = sequence.window_pages;
  u32 first = sequence.length / page_positions();
  u32 wanted = pages_for(until), window_wanted = window_pages_until(sequence, until);
  // Only the page that contains position `length` can be shared with another sequence. Later pages
  // were taken for this sequence alone.
  bool writes = until > sequence.length;
  bool copy = writes && first < pages.size() && !private_page(pages[first]);
  bool copy_window = writes && first < window.size() && !private_window(window[first]);
  usize more = (wanted > pages.size() ? wanted - pages.size() : 0) + (copy ? 1 : 0);
  usize from = std::max<usize>(window.size(), sequence.window_first);
  usize window_more = (window_wanted > from ? window_wanted - from : 0) + (copy_window ? 1 : 0);
  if (more > available(pool_) || window_more > available(window_pool_))
    return fail(Errc::kFull, "every KV page is in use");
  if (copy) {
    PageId fresh = take();
    std::ranges::copy(bytes(pages[first]), bytes(fresh).begin());
    pages.replace(first, fresh);
  }
  if (copy_window) {
    PageId fresh = take_window();
    std::ranges::copy(window_bytes(window[first]), window_bytes(fresh).begin());
    window.replace(first, fresh);
  }
  while (pages.size() < wanted) pages.push_back(take());
  while (window.size() < window_wanted)
    window.push_back(window.size() < sequence.window_first ? kNoPage : take_window());
  return {};
}

void KvStore::commit(Sequence& sequence, std::span<const TokenId> tokens, u32 length,
                     bool remember) {
  ASSERT(length <= tokens.size() && pages_for(length) <= sequence.pages.size());
  ASSERT(!has_windows() || pages_for(length) <= sequence.window_pages.size());
  sequence.length = length;
  // A sequence that is not remembered has no entry in the prefix cache that a new page could
  // follow.
  while (remember && (sequence.known_pages + 1) * page_positions() <= length) {
    u32 index = sequence.known_pages++;
    insert(sequence, index, tokens.subspan(usize{index} * page_positions(), page_positions()));
  }
  skip_to(sequence, length);
}

// Makes page `index` of the sequence, with the whole page `tokens`, known to the prefix cache.
void KvStore::insert(Sequence& sequence, u32 index, std::span<const TokenId> tokens) {
  PageId page = sequence.pages[index];
  PageId twin = cache_.find(sequence.serial, tokens);
  // two requests computed the same tokens at once: same bytes, so one copy goes
  if (twin != kNoPage) {
    pool_.hold(twin);
    sequence.pages.replace(index, twin);
    page = twin;
  } else {
    cache_.insert(page, sequence.serial, tokens);
    pool_.set_keep(page, true);
  }
  sequence.serial = cache_.serial(page);
  if (index < sequence.window_pages.size()) keep_window(sequence, index, page);
}

// Attaches the sequence's window page to the entry of `page`, or takes the one that is there.
void KvStore::keep_window(Sequence& sequence, u32 index, PageId page) {
  PageId own = sequence.window_pages[index], twin = cache_.window_page(page);
  if (own == kNoPage || own == twin) return;
  if (twin != kNoPage) {
    window_pool_.hold(twin);
    sequence.window_pages.replace(index, twin);
  } else {
    cache_.attach(page, own);
    window_pool_.set_keep(own, true);
  }
}

void KvStore::skip_to(Sequence& sequence, u32 length) {
  u32 first = window_first(length);
  u32 end = std::min(first, static_cast<u32>(sequence.window_pages.size()));
  for (u32 i = sequence.window_first; i < end; i++) sequence.window_pages.drop(i);
  sequence.window_first = std::max(sequence.window_first, first);
}

void KvStore::cut(Sequence& sequence) {
  ASSERT(sequence.known_pages * page_positions() <= sequence.length);
  u32 pages = pages_for(sequence.length);
  while (sequence.pages.size() > pages) sequence.pages.pop_back();
  while (sequence.window_pages.size() > pages) sequence.window_pages.pop_back();
}

bool KvStore::fork(const Sequence& from, Sequence& to, u32 length) {
  ASSERT(to.pages.empty() && length <= from.length);
  u32 first = window_first(length);
  if (has_windows() && from.window_first > first) return false;
  to.window_first = first;
  for (u32 i = 0; i < pages_for(length); i++) {
    pool_.hold(from.pages[i]);
    to.pages.push_back(from.pages[i]);
    if (!has_windows()) continue;
    PageId window_page = i < first ? kNoPage : from.window_pages[i];
    if (window_page != kNoPage) window_pool_.hold(window_page);
    to.window_pages.push_back(window_page);
  }
  to.length = length;
  to.known_pages = std::min(from.known_pages, length / page_positions());
  to.serial =
      to.known_pages == 0 ? PrefixCache::kRoot : cache_.serial(to.pages[to.known_pages - 1]);
  return true;
}

void KvStore::end(Sequence& sequence, std::span<const TokenId> tokens, bool remember) {
  u32 whole = sequence.length / page_positions(), rest = sequence.length % page_positions();
  if (remember && rest > 0 && whole == sequence.known_pages) {
    PageId page = sequence.pages[whole];
    auto part = tokens.subspan(usize{whole} * page_positions(), rest);
    if (private_page(page) && cache_.find_partial(sequence.serial, part).common < rest) {
      cache_.insert(page, sequence.serial, part);
      pool_.set_keep(page, true);
      bool own = has_windows() && private_window(sequence.window_pages[whole]);
      if (own) keep_window(sequence, whole, page);
    }
  }
  sequence.pages.clear();
  sequence.window_pages.clear();
  sequence.length = sequence.known_pages = sequence.window_first = 0;
  sequence.serial = PrefixCache::kRoot;
}

void KvStore::clear() {
  for (PageId page = 0; page < pool_.total(); page++)
    if (cache_.known(page) && pool_.references(page) == 0) {
      forget(page);
      pool_.set_keep(page, false);
    }
  for (PageId page = 0; page < window_pool_.total(); page++)
    if (cache_.attached(page) && window_pool_.references(page) == 0) {
      cache_.detach(page);
      window_pool_.set_keep(page, false);
    }
}

// Checks that a page is idle exactly when the prefix cache knows it and no sequence holds it, and
// that entries and window pages name each other.
bool KvStore::consistent() const {
  u32 known_idle = 0, attached = 0, attached_idle = 0;
  for (PageId page = 0; page < pool_.total(); page++) {
    known_idle += cache_.known(page) && pool_.references(page) == 0;
    PageId window_page = cache_.window_page(page);
    if (window_page == kNoPage) continue;
    if (!cache_.known(page) || !cache_.attached(window_page)) return false;
    attached++;
  }
  for (PageId page = 0; page < window_pool_.total(); page++) {
    if (!cache_.attached(page)) continue;
    attached--;
    attached_idle += window_pool_.references(page) == 0;
  }
  return attached == 0 && pool_.consistent() && known_idle == pool_.idle() &&
         window_pool_.consistent() && attached_idle == window_pool_.idle();
}

}  // namespace ai
