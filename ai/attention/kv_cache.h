// SPDX-License-Identifier: GPL-2.0-or-later
// The pool of KV pages: fixed in size, with reference counts, and without allocation after
// create(). All pages of a pool have one size; layers with a window have a pool of their own.
//
// A page is in one of three states: free, held (a sequence refers to it) or idle (no sequence
// refers to it, but its contents are kept because a later prompt may begin with them). take() uses
// the page that was freed last, which may still be in the CPU's caches; if no page is free, it
// evicts the idle page that was released longest ago. The sum of the three never changes. Used on
// the engine's thread; cancel() may release pages from any thread of CPU 0.
#pragma once

#include "ai/platform.h"
#include "kernel/base/containers.h"

namespace ai {

using PageId = u32;
constexpr PageId kNoPage = ~PageId{0};

// The pages of one text in one pool, as the model reads and writes them.
struct KvPages {
  Byte* pool = nullptr;           // page p begins at pool + p * the pool's page_bytes()
  std::span<const PageId> pages;  // by position, in runs of kPagePositions; kNoPage: given back
};

class PagePool {
 public:
  // Allocates `pages` pages of `page_bytes` each in one run of the platform's pages.
  static Result<PagePool> create(Platform& platform, u32 pages, usize page_bytes);
  // without the pages themselves
  static u64 book_bytes(u32 pages) { return u64{pages} * sizeof(Page); }
  PagePool(PagePool&& other) noexcept;
  PagePool& operator=(PagePool&&) = delete;
  ~PagePool();

  struct Taken {
    PageId page;
    bool was_idle;  // its old contents are lost: the prefix cache must forget them
  };
  // Returns a page with one reference, or kFull if every page is held.
  Result<Taken> take();
  // Adds a reference to a held or idle page.
  void hold(PageId page);
  // Drops a reference. After the last one the page is idle if `keep` was set, otherwise free.
  void release(PageId page);
  // Decides what the page becomes when nobody holds it. Clearing it frees an idle page at once.
  void set_keep(PageId page, bool keep);

  Byte* data(PageId page) { return memory_.data() + usize{page} * page_bytes_; }
  usize page_bytes() const { return page_bytes_; }
  u32 references(PageId page) const { return pages_[page].references; }
  u32 total() const { return static_cast<u32>(pages_.size()); }
  u32 held() const { return total() - free_ - idle_; }
  u32 idle() const { return idle_; }
  u32 free() const { return free_; }
  // Walks every list and counts. Returns false if the numbers do not add up.
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
  List free_list_, idle_list_;  // idle: the page released longest ago is first
  u32 free_ = 0, idle_ = 0;
};

// The pages of one text, with one reference each. The destructor drops them, however the text ends.
// A page that the text needs no more leaves a place with kNoPage, so the others keep their indices.
class PageRun {
 public:
  // `pool` must outlive the run, which allocates nothing up to `most` pages.
  static Result<PageRun> create(PagePool& pool, u32 most);
  PageRun() = default;
  PageRun(PageRun&& other) noexcept : pool_(other.pool_), pages_(std::move(other.pages_)) {}
  PageRun& operator=(PageRun&& other) noexcept;
  ~PageRun() { clear(); }

  // Both take over the caller's reference. replace() drops the old page's.
  void push_back(PageId page) { MUST(pages_.push_back(page)); }
  void replace(usize index, PageId page);
  void drop(usize index) { replace(index, kNoPage); }
  void pop_back();
  void clear();  // drops the last page first, so that it is the first to be evicted

  PageId operator[](usize index) const { return pages_[index]; }
  usize size() const { return pages_.size(); }
  bool empty() const { return pages_.empty(); }
  std::span<const PageId> view() const { return pages_.view(); }

 private:
  PagePool* pool_ = nullptr;
  Vector<PageId> pages_;
};

}  // namespace ai
