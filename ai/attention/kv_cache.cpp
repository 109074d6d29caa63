// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the pool of KV pages with two lists and a reference count per page.
#include "ai/attention/kv_cache.h"

namespace ai {

Result<PagePool> PagePool::create(Platform& platform, u32 pages, usize page_bytes) {
  PagePool pool(platform, page_bytes);
  TRY(pool.pages_.resize(pages));
  // A purely recurrent model keeps nothing per position.
  if (page_bytes > 0)
    pool.memory_ = TRY(platform.allocate_pages(usize{pages} * page_bytes, "KV cache"));
  for (PageId page = 0; page < pages; page++) pool.push_back(pool.free_list_, page);
  pool.free_ = pages;
  return pool;
}

PagePool::PagePool(PagePool&& other) noexcept
    : platform_(other.platform_),
      page_bytes_(other.page_bytes_),
      memory_(std::exchange(other.memory_, {})),
      pages_(std::move(other.pages_)),
      free_list_(std::exchange(other.free_list_, {})),
      idle_list_(std::exchange(other.idle_list_, {})),
      free_(std::exchange(other.free_, 0)),
      idle_(std::exchange(other.idle_, 0)) {}

PagePool::~PagePool() {
  if (!memory_.empty()) platform_.free_pages(memory_);
}

Result<PagePool::Taken> PagePool::take() {
  bool was_idle = free_ == 0;
  List& list = was_idle ? idle_list_ : free_list_;
  if (list.first == kNoPage)
    return fail(Errc::kFull, "every KV page is in use: wait until a request ends");
  PageId page = list.first;
  remove(list, page);
  (was_idle ? idle_ : free_)--;
  pages_[page] = {.references = 1, .state = State::kHeld};
  return Taken{page, was_idle};
}

void PagePool::hold(PageId page) {
  Page& p = pages_[page];
  ASSERT(p.state != State::kFree);
  if (p.state == State::kIdle) {
    remove(idle_list_, page);
    idle_--;
    p.state = State::kHeld;
  }
  p.references++;
}

void PagePool::release(PageId page) {
  Page& p = pages_[page];
  ASSERT(p.state == State::kHeld && p.references > 0);
  if (--p.references > 0) return;
  p.state = p.keep ? State::kIdle : State::kFree;
  if (p.keep)
    push_back(idle_list_, page);
  else
    push_front(free_list_, page);
  (p.keep ? idle_ : free_)++;
}

void PagePool::set_keep(PageId page, bool keep) {
  Page& p = pages_[page];
  ASSERT(p.state != State::kFree);
  p.keep = keep;
  if (keep || p.state != State::kIdle) return;
  remove(idle_list_, page);
  idle_--;
  p.state = State::kFree;
  push_front(free_list_, page);
  free_++;
}

void PagePool::push_front(List& list, PageId page) {
  Page& p = pages_[page];
  p.before = kNoPage;
  p.after = list.first;
  (list.first == kNoPage ? list.last : pages_[list.first].before) = page;
  list.first = page;
}

void PagePool::push_back(List& list, PageId page) {
  Page& p = pages_[page];
  p.before = list.last;
  p.after = kNoPage;
  (list.last == kNoPage ? list.first : pages_[list.last].after) = page;
  list.last = page;
}

void PagePool::remove(List& list, PageId page) {
  Page& p = pages_[page];
  (p.before == kNoPage ? list.first : pages_[p.before].after) = p.after;
  (p.after == kNoPage ? list.last : pages_[p.after].before) = p.before;
  p.before = p.after = kNoPage;
}

u32 PagePool::count(const List& list, State state) const {
  u32 n = 0;
  for (PageId page = list.first; page != kNoPage && n <= total(); page = pages_[page].after, n++)
    if (pages_[page].state != state || pages_[page].references != 0) return ~0u;
  return n;
}

bool PagePool::consistent() const {
  u32 held_pages = 0;
  for (const Page& p : pages_) {
    if ((p.state == State::kHeld) != (p.references > 0)) return false;
    held_pages += p.state == State::kHeld;
  }
  return held_pages == held() && count(free_list_, State::kFree) == free_ &&
         count(idle_list_, State::kIdle) == idle_;
}

Result<PageRun> PageRun::create(PagePool& pool, u32 most) {
  PageRun run;
  run.pool_ = &pool;
  TRY(run.pages_.reserve(most));
  return run;
}

PageRun& PageRun::operator=(PageRun&& other) noexcept {
  if (this == &other) return *this;
  clear();
  pool_ = other.pool_;
  pages_ = std::move(other.pages_);
  return *this;
}

void PageRun::replace(usize index, PageId page) {
  PageId old = std::exchange(pages_[index], page);
  if (old != kNoPage) pool_->release(old);
}

void PageRun::pop_back() {
  drop(pages_.size() - 1);
  pages_.pop_back();
}

void PageRun::clear() {
  while (!pages_.empty()) pop_back();
}

}  // namespace ai
