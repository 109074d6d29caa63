// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel heap: blocks with headers in arenas, free blocks in bins by size (two-level segregated
// fit, where every operation takes bounded time), and large blocks in page runs of their own.
//
// It notices damage. A bad or double free is always noticed. With red zones (debug builds) it also
// notices writes past a block's end and into freed memory: a freed block is filled with a pattern
// and held back for a while, so that code which still uses it reads nonsense, and is caught if it
// writes.
#pragma once

#include <span>

#include "kernel/mm/memory.h"

namespace mm {

// Describes freed memory that was written to.
struct LateWrite {
  const void* memory;
  usize bytes;           // as requested
  usize offset;          // of the first changed byte
  const void* freed_by;  // the caller of deallocate(); null: unknown
};

class Heap {
 public:
  // Supplies pages for arenas and takes them back. `take` may return an empty span.
  struct Source {
    std::span<Byte> (*take)(void* context, usize bytes);
    void (*give_back)(void* context, std::span<Byte> pages);
    void* context;
    // Receives a late write before the assertion that follows. May be null.
    void (*report)(void* context, const LateWrite& found) = nullptr;
  };
  enum class RedZones : u8 { kNo, kYes };

  constexpr Heap() = default;
  void init(const Source& source, RedZones red_zones);

  void* allocate(usize bytes, usize align);  // nullptr if there is no memory
  void deallocate(void* memory, const void* freed_by = nullptr);
  // Checks all blocks that are held back, and releases them.
  void drain();

  const HeapUsage& usage() const { return usage_; }
  u64 arena_bytes() const { return arena_bytes_; }
  // Walks every block. For the first damage it returns kCorrupt and its place in `where`.
  Result<void> verify(const void** where = nullptr) const;

 private:
  struct Block;
  struct FreeBlock;
  struct Arena;
  struct Bin {
    u32 row, column;
  };
  struct Held {
    Block* block;
    const void* freed_by;
  };
  static constexpr u32 kColumns = 8;  // each power of two is divided in eight
  static constexpr u32 kRows = 48;

  static Bin bin_of(usize size);
  FreeBlock* find(usize size) const;
  void insert(Block* block);
  void remove(FreeBlock* block);
  bool grow(usize size);
  void release_if_empty(Block* block);
  Block* carve(FreeBlock* block, usize size, usize align);
  Block* merge(Block* block);
  void hold_back(Block* block, const void* freed_by);
  void let_go_oldest();
  void free_block(Block* block);
  void* finish(Block* block, usize bytes);
  void* allocate_large(usize bytes, usize align);
  Result<void> check_block(const Block* block) const;
  void check_poison(const FreeBlock* block) const;

  Source source_{};
  bool red_zones_ = false;
  std::span<Held> held_;  // a ring; empty without red zones
  usize oldest_held_ = 0, held_count_ = 0;
  u64 held_bytes_ = 0;
  u64 rows_used_ = 0;
  u8 columns_used_[kRows] = {};
  FreeBlock* bins_[kRows][kColumns] = {};
  Arena* arenas_ = nullptr;
  HeapUsage usage_;
  u64 arena_bytes_ = 0;
};

}  // namespace mm
