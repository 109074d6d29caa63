// SPDX-License-Identifier: GPL-2.0-or-later
// The pool of KV pages: fixed size, reference counted, no allocation after create().
//
// A page is in one of three states: free, held (a sequence refers to it) or idle (nobody refers to
// it, but its contents are kept because a later prompt may begin with them). take() uses the page
// that was freed last, which may still be in the CPU's caches, and without free pages the idle one
// that was left alone longest. The sum of the three never changes.
#pragma once

#include "ai/platform.h"
#include "kernel/base/containers.h"

namespace ai {

using PageId = u32;
constexpr PageId kNoPage = ~PageId{0};

class PagePool {
 public:
  // `pages` pages of `page_bytes` each, in one run of the platform's pages.
  static Result<PagePool> create(Platform& platform, u32 pages, usize page_bytes);
  static u64 book_bytes(u32 pages) { return u64{pages} * sizeof(Page); }  // beside the pages
  PagePool(PagePool&& other) noexcept;
  PagePool& operator=(PagePool&&) = delete;
  ~PagePool();

  struct Taken {
    PageId page;
    bool was_idle;  // its old contents are gone: whoever indexed them must forget them
  };
  // A page held once; kFull when every page is held.
  Result<Taken> take();
  // One more reference to a held or idle page.
  void hold(PageId page);
  // One reference less. The last one makes it idle when `keep` says so, else free.
  void release(PageId page);
  // What becomes of the page when nobody holds it. Clearing it frees an idle page at once.
  void set_keep(PageId page, bool keep);

  Byte* data(PageId page) { return memory_.data() + usize{page} * page_bytes_; }
  usize page_bytes() const { return page_bytes_; }
  u32 references(PageId page) const { return pages_[page].references; }
  u32 total() const { return static_cast<u32>(pages_.size()); }
  u32 held() const { return total() - free_ - idle_; }
  u32 idle() const { return idle_; }
  u32 free() const { return free_; }
  // Walks every list and counts: false when the books do not balance.
  bool consistent() const;

 private:
  enum class State : u8 { kFree, kHeld, kIdle };
  struct Page {
    u32 references = 0;
    PageId before = kNoPage, after = kNoPage;  // neighbours in the free or idle list
    State state = State::kFree;
    bool keep = false;
  };
  struct List {
    PageId first = kNoPage, last = kNoPage;
  };
  PagePool(Platform& platform, usize page_bytes) : platform_(platform), page_bytes_(page_bytes) {}
  void push_front(List& list, PageId page);
  void push_back(List& list, PageId page);
  void remove(List& list, PageId page);
  u32 count(const List& list, State state) const;

  Platform& platform_;
  usize page_bytes_;
  std::span<Byte> memory_;
  Vector<Page> pages_;
  List free_list_, idle_list_;  // idle: the one left alone longest is first
  u32 free_ = 0, idle_ = 0;
};

// The pages of one text, a reference to each. Whatever ends the text, they go back with this.
class PageRun {
 public:
  // `pool` outlives the run, which allocates nothing up to `most` pages.
  static Result<PageRun> create(PagePool& pool, u32 most);
  PageRun() = default;
  PageRun(PageRun&& other) noexcept : pool_(other.pool_), pages_(std::move(other.pages_)) {}
  PageRun& operator=(PageRun&& other) noexcept;
  ~PageRun() { clear(); }

  // Both take over the caller's reference; replace() gives the old page's back.
  void push_back(PageId page) { MUST(pages_.push_back(page)); }
  void replace(usize index, PageId page);
  void pop_back();
  void clear();  // the last page first, so that it is also the first to be reused

  PageId operator[](usize index) const { return pages_[index]; }
  usize size() const { return pages_.size(); }
  bool empty() const { return pages_.empty(); }
  std::span<const PageId> view() const { return pages_.view(); }

 private:
  PagePool* pool_ = nullptr;
  Vector<PageId> pages_;
};

}  // namespace ai
