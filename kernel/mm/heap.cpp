// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the kernel heap. After M. Masmano et al., "TLSF: a new dynamic memory allocator for
// real-time systems", ECRTS 2004.
#include "kernel/mm/heap.h"

#include <bit>

#include "kernel/base/bytes.h"

namespace mm {

// The header of every block, used or free. Sizes include it.
struct Heap::Block {
  u64 size;       // a multiple of kGrain
  u64 before;     // size of the previous block; 0 = first of its arena
  u64 requested;  // what the caller asked for
  u32 magic;      // kUsed, kHeld, kFree or kLarge, mixed with the block's address
  u32 last;       // 1 = last of its arena

  Byte* payload() { return reinterpret_cast<Byte*>(this + 1); }
  const Byte* payload() const { return reinterpret_cast<const Byte*>(this + 1); }
  u64 room() const { return size - sizeof(Block); }
  Block* next() const { return reinterpret_cast<Block*>(reinterpret_cast<u64>(this) + size); }
  Block* previous() const { return reinterpret_cast<Block*>(reinterpret_cast<u64>(this) - before); }
  u32 mixed(u32 kind) const { return kind ^ static_cast<u32>(reinterpret_cast<u64>(this) >> 4); }
  bool is(u32 kind) const { return magic == mixed(kind); }
  void become(u32 kind) { magic = mixed(kind); }
};

struct Heap::FreeBlock : Heap::Block {
  FreeBlock* next_free;
  FreeBlock* previous_free;
};

struct Heap::Arena {
  Arena* next;
  u64 bytes;  // of the whole run of pages, with this header
  u64 padding[2];
  Block* first() { return reinterpret_cast<Block*>(this + 1); }
};

namespace {

constexpr u64 kGrain = 32;  // granularity of every block's size and address
constexpr u64 kSmallest = 64;
constexpr u64 kArenaBytes = 512 * kKiB;
constexpr u64 kLargeBytes = 128 * kKiB;  // blocks of this size or more get their own pages
constexpr u32 kUsed = 0x75736564, kHeld = 0x68656c64, kFree = 0x66726565, kLarge = 0x6c617267;
// The amount of freed memory that is held back: some seconds of a busy console.
constexpr u64 kHeldBytes = 4 * kMiB;
constexpr usize kHeldBlocks = 8192;
constexpr usize kRedZoneBytes = 32;
constexpr Byte kRedZone = 0xfb, kPoison = 0xdd, kFresh = 0xcd;

const Byte* first_other(const Byte* first, const Byte* end, Byte value) {
  u64 word = u64{value} * 0x0101010101010101;
  while (end - first >= 8 && base::load<u64>(first) == word) first += 8;
  while (first != end && *first == value) first++;
  return first;
}

bool all_are(const Byte* first, const Byte* end, Byte value) {
  return first_other(first, end, value) == end;
}

}  // namespace

void Heap::init(const Source& source, RedZones red_zones) {
  static_assert(sizeof(Block) == kGrain && sizeof(FreeBlock) <= kSmallest);
  static_assert(sizeof(Arena) == kGrain);
  source_ = source;
  red_zones_ = red_zones == RedZones::kYes;
  if (!red_zones_) return;
  std::span<Byte> ring = source_.take(source_.context, kHeldBlocks * sizeof(Held));
  if (ring.empty()) return;  // without red zones, freed blocks are reused at once
  arena_bytes_ += ring.size();
  held_ = {reinterpret_cast<Held*>(ring.data()), kHeldBlocks};
}

void* Heap::allocate(usize bytes, usize align) {
  ASSERT(base::is_power_of_two(align));
  if (bytes >= u64{1} << 46) return nullptr;
  usize wanted = bytes + (red_zones_ ? kRedZoneBytes : 0);
  if (wanted >= kLargeBytes || align >= kPageBytes) {
    void* large = allocate_large(bytes, align);
    if (large != nullptr || held_count_ == 0) return large;
    drain();
    return allocate_large(bytes, align);
  }
  usize size = std::max(base::round_up(wanted + sizeof(Block), kGrain), kSmallest);
  // A block of this size contains an aligned payload, and room to split off what is in front of it.
  usize search = align <= kGrain ? size : size + align + kSmallest;
  FreeBlock* free = find(search);
  if (free == nullptr && grow(search)) free = find(search);
  if (free == nullptr && held_count_ > 0) {
    drain();
    free = find(search);
  }
  if (free == nullptr) return nullptr;
  return finish(carve(free, size, align), bytes);
}

void* Heap::finish(Block* block, usize bytes) {
  block->requested = bytes;
  usage_.live_bytes += bytes;
  usage_.live_allocations++;
  usage_.total_allocations++;
  Byte* payload = block->payload();
  if (red_zones_) {
    std::memset(payload, kFresh, bytes);
    std::memset(payload + bytes, kRedZone, block->room() - bytes);
  }
  return payload;
}

Heap::Bin Heap::bin_of(usize size) {
  u32 row = static_cast<u32>(std::bit_width(size)) - 1;
  return {row, static_cast<u32>(size >> (row - 3)) & (kColumns - 1)};
}

// Returns the first block of a bin in which every block is large enough.
Heap::FreeBlock* Heap::find(usize size) const {
  usize step = usize{1} << (std::bit_width(size) - 1 - 3);
  Bin bin = bin_of(size + step - 1);
  u32 columns = columns_used_[bin.row] & (~u32{0} << bin.column);
  if (columns == 0) {
    u64 rows = rows_used_ & (~u64{0} << (bin.row + 1));
    if (rows == 0) return nullptr;
    bin.row = static_cast<u32>(std::countr_zero(rows));
    columns = columns_used_[bin.row];
  }
  return bins_[bin.row][std::countr_zero(columns)];
}

void Heap::insert(Block* block) {
  auto* free = static_cast<FreeBlock*>(block);
  free->become(kFree);
  Bin bin = bin_of(block->size);
  FreeBlock*& head = bins_[bin.row][bin.column];
  free->previous_free = nullptr;
  free->next_free = head;
  if (head != nullptr) head->previous_free = free;
  head = free;
  rows_used_ |= u64{1} << bin.row;
  columns_used_[bin.row] = static_cast<u8>(columns_used_[bin.row] | 1u << bin.column);
}

void Heap::remove(FreeBlock* block) {
  ASSERT(block->is(kFree));  // otherwise somebody overwrote a free block's header
  check_poison(block);
  Bin bin = bin_of(block->size);
  FreeBlock*& head = bins_[bin.row][bin.column];
  (block->previous_free != nullptr ? block->previous_free->next_free : head) = block->next_free;
  if (block->next_free != nullptr) block->next_free->previous_free = block->previous_free;
  if (head != nullptr) return;
  columns_used_[bin.row] = static_cast<u8>(columns_used_[bin.row] & ~(1u << bin.column));
  if (columns_used_[bin.row] == 0) rows_used_ &= ~(u64{1} << bin.row);
}

void Heap::check_poison(const FreeBlock* block) const {
  if (!red_zones_) return;
  const Byte* end = reinterpret_cast<const Byte*>(block->next());
  bool written_after_free = !all_are(reinterpret_cast<const Byte*>(block + 1), end, kPoison);
  ASSERT(!written_after_free);
}

bool Heap::grow(usize size) {
  // find() rounds the size up to a bin, so an eighth more is always enough.
  usize wanted = std::max(kArenaBytes, base::round_up(size + size / 4 + sizeof(Arena), kPageBytes));
  std::span<Byte> pages = source_.take(source_.context, wanted);
  if (pages.empty()) return false;
  auto* arena = ::new (static_cast<void*>(pages.data())) Arena{arenas_, pages.size(), {}};
  arenas_ = arena;
  arena_bytes_ += pages.size();
  auto* block = ::new (static_cast<void*>(arena->first())) FreeBlock{};
  block->size = base::round_down(pages.size() - sizeof(Arena), kGrain);
  block->last = 1;
  if (red_zones_)
    std::memset(static_cast<void*>(block + 1), kPoison, block->size - sizeof(FreeBlock));
  insert(block);
  return true;
}

// Takes `size` bytes out of a free block so that the payload is aligned. The rest stays free.
Heap::Block* Heap::carve(FreeBlock* free, usize size, usize align) {
  remove(free);
  Block* block = free;
  u64 payload = reinterpret_cast<u64>(block->payload());
  u64 skip = base::round_up(payload, align) - payload;
  while (skip != 0 && skip < kSmallest) skip += align;
  if (skip != 0) {
    auto* rest = reinterpret_cast<Block*>(reinterpret_cast<u64>(block) + skip);
    *rest = {block->size - skip, skip, 0, 0, block->last};
    if (rest->last == 0) rest->next()->before = rest->size;
    block->size = skip;
    block->last = 0;
    if (red_zones_) std::memset(block->payload(), kPoison, block->room());
    insert(block);
    block = rest;
  }
  if (block->size - size >= kSmallest) {
    auto* rest = reinterpret_cast<Block*>(reinterpret_cast<u64>(block) + size);
    *rest = {block->size - size, size, 0, 0, block->last};
    if (rest->last == 0) rest->next()->before = rest->size;
    block->size = size;
    block->last = 0;
    insert(rest);
  }
  block->become(kUsed);
  return block;
}

void* Heap::allocate_large(usize bytes, usize align) {
  usize wanted = bytes + (red_zones_ ? kRedZoneBytes : 0);
  usize front = std::max<usize>(align, sizeof(Block));
  if (align > kPageBytes) return nullptr;  // larger alignments must come from the page map
  std::span<Byte> pages = source_.take(source_.context, base::round_up(front + wanted, kPageBytes));
  if (pages.empty()) return nullptr;
  auto* block = reinterpret_cast<Block*>(pages.data() + front - sizeof(Block));
  // Large blocks have no neighbours, so `before` holds the distance to the start of the run.
  *block = {pages.size() - (front - sizeof(Block)), front - sizeof(Block), 0, 0, 1};
  block->become(kLarge);
  arena_bytes_ += pages.size();
  return finish(block, bytes);
}

Heap::Block* Heap::merge(Block* block) {
  if (block->last == 0 && block->next()->is(kFree)) {
    Block* next = block->next();
    remove(static_cast<FreeBlock*>(next));
    block->size += next->size;
    block->last = next->last;
  }
  if (block->before != 0 && block->previous()->is(kFree)) {
    Block* previous = block->previous();
    remove(static_cast<FreeBlock*>(previous));
    previous->size += block->size;
    previous->last = block->last;
    block = previous;
  }
  if (block->last == 0) block->next()->before = block->size;
  return block;
}

void Heap::deallocate(void* memory, const void* freed_by) {
  if (memory == nullptr) return;
  Block* block = static_cast<Block*>(memory) - 1;
  bool large = block->is(kLarge);
  // otherwise this is a double free, or the block is from another heap
  ASSERT(large || block->is(kUsed));
  bool written_past_its_end =
      red_zones_ && !all_are(block->payload() + block->requested,
                             reinterpret_cast<Byte*>(block) + block->size, kRedZone);
  ASSERT(!written_past_its_end);
  usage_.live_bytes -= block->requested;
  usage_.live_allocations--;
  if (large) {
    auto* start = reinterpret_cast<Byte*>(block) - block->before;
    std::span<Byte> pages(start, block->before + block->size);
    block->magic = 0;
    arena_bytes_ -= pages.size();
    source_.give_back(source_.context, pages);
    return;
  }
  if (held_.empty())
    free_block(block);
  else
    hold_back(block, freed_by);
}

void Heap::free_block(Block* block) {
  block = merge(block);
  if (red_zones_) std::memset(block->payload(), kPoison, block->room());
  insert(block);
  release_if_empty(block);
}

void Heap::hold_back(Block* block, const void* freed_by) {
  if (held_count_ == held_.size()) let_go_oldest();
  std::memset(block->payload(), kPoison, block->room());
  block->become(kHeld);
  held_[(oldest_held_ + held_count_++) % held_.size()] = {block, freed_by};
  held_bytes_ += block->size;
  while (held_bytes_ > kHeldBytes) let_go_oldest();
}

void Heap::let_go_oldest() {
  Held held = held_[oldest_held_];
  oldest_held_ = (oldest_held_ + 1) % held_.size();
  held_count_--;
  held_bytes_ -= held.block->size;
  const Byte* begin = held.block->payload();
  const Byte* end = begin + held.block->room();
  const Byte* changed = first_other(begin, end, kPoison);
  bool written_after_free = changed != end;
  if (written_after_free && source_.report != nullptr)
    source_.report(source_.context, {begin, held.block->requested,
                                     static_cast<usize>(changed - begin), held.freed_by});
  ASSERT(!written_after_free);
  free_block(held.block);
}

void Heap::drain() {
  while (held_count_ > 0) let_go_oldest();
}

// One empty arena is kept, so that a heap that grows and shrinks does not take and return pages
// each time.
void Heap::release_if_empty(Block* block) {
  if (block->before != 0 || block->last == 0 || arenas_->next == nullptr) return;
  remove(static_cast<FreeBlock*>(block));
  auto* arena = reinterpret_cast<Arena*>(block) - 1;
  Arena** at = &arenas_;
  while (*at != arena) at = &(*at)->next;
  *at = arena->next;
  arena_bytes_ -= arena->bytes;
  source_.give_back(source_.context, {reinterpret_cast<Byte*>(arena), arena->bytes});
}

Result<void> Heap::check_block(const Block* block) const {
  bool used = block->is(kUsed), free = block->is(kFree), held = block->is(kHeld);
  if (!used && !free && !held) return fail(Errc::kCorrupt, "a heap block's header was overwritten");
  const Byte* end = reinterpret_cast<const Byte*>(block) + block->size;
  if (used && block->requested > block->room())
    return fail(Errc::kCorrupt, "a heap block is larger than its place");
  if (!red_zones_) return {};
  if (used && !all_are(block->payload() + block->requested, end, kRedZone))
    return fail(Errc::kCorrupt, "a heap block was written past its end");
  if (held && !all_are(block->payload(), end, kPoison))
    return fail(Errc::kCorrupt, "freed memory was written to");
  if (free && !all_are(reinterpret_cast<const Byte*>(static_cast<const FreeBlock*>(block) + 1), end,
                       kPoison))
    return fail(Errc::kCorrupt, "freed memory was written to");
  return {};
}

Result<void> Heap::verify(const void** where) const {
  for (Arena* arena = arenas_; arena != nullptr; arena = arena->next) {
    u64 end = reinterpret_cast<u64>(arena) + base::round_down(arena->bytes, kGrain);
    u64 before = 0;
    for (Block* block = arena->first();; block = block->next()) {
      if (where != nullptr) *where = block;
      u64 address = reinterpret_cast<u64>(block);
      bool fits = block->size >= kSmallest && block->size <= end - address;
      if (!fits || block->before != before)
        return fail(Errc::kCorrupt, "a heap block's header was overwritten");
      TRY(check_block(block));
      before = block->size;
      if (block->last != 0) break;
    }
  }
  return {};
}

}  // namespace mm
