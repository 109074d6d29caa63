// SPDX-License-Identifier: GPL-2.0-or-later
// Implements four-level page tables for one identity-mapped address space. Intel SDM vol. 3,
// chapter 4.
#include <arch/paging.h>
#include <arch/registers.h>

#include "boot/boot_info.h"
#include "kernel/base/bytes.h"

extern "C" {
extern Byte __kernel_start[], __text_end[], __rodata_end[], __kernel_end[];
extern Byte boot_stack_guard[];
extern u64 early_root[512];
}

namespace arch::paging {
namespace {

using Table = u64[512];

// Entry bits.
constexpr u64 kPresent = 1 << 0, kWritable = 1 << 1, kUser = 1 << 2, kWriteThrough = 1 << 3,
              kCacheDisable = 1 << 4, kAccessed = 1 << 5, kDirty = 1 << 6, kLarge = 1 << 7,
              kGuardMark = 1 << 9,  // ignored by the CPU; only in entries that are not present
    kNoExecute = u64{1} << 63;
constexpr u64 kAddress = 0x000ffffffffff000;

// The memory type that {cache disable, write through} select by IA32_PAT as init() sets it: 0
// write-back, 1 write-combining, 2 uncached unless MTRRs say otherwise, 3 uncached.
constexpr u64 kPat = 0x00'07'01'06'00'07'01'06;
constexpr u64 kCacheBits[] = {0, kWriteThrough, kWriteThrough | kCacheDisable};

constexpr u32 kLevels = 4;
constexpr u64 level_bytes(u32 level) {  // bytes that one entry spans: level 1 = 4 KiB
  return u64{1} << (12 + 9 * (level - 1));
}
constexpr u32 index_of(u64 address, u32 level) {
  return address >> (12 + 9 * (level - 1)) & 511;
}

// Enough for 128 GiB in 2 MiB pages on a CPU without 1 GiB pages. Later tables come from the
// physical allocator.
constexpr u32 kPoolPages = 160;
alignas(kPageBytes) constinit Table pool[kPoolPages];
constinit u32 pool_used = 0;
using PageSource = u64 (*)();
constinit PageSource page_source = nullptr;
constinit u64* root = nullptr;  // null: boot.asm's early tables are in use
constinit bool has_gib_pages = false;

u64* table_at(u64 entry) {
  return reinterpret_cast<u64*>(entry & kAddress);
}

u64* new_table() {
  if (pool_used < kPoolPages) return pool[pool_used++];
  return page_source == nullptr ? nullptr : reinterpret_cast<u64*>(page_source());
}

u64 leaf_bits(Rights rights) {
  u64 bits = kPresent | kAccessed | kDirty | kCacheBits[static_cast<u32>(rights.cache)];
  if (rights.access == Access::kReadWrite) bits |= kWritable;
  if (rights.access != Access::kExecute) bits |= kNoExecute;
  return bits;
}

// Returns the table below `entry`. It is made if it is absent, and a large page is split into equal
// smaller ones.
Result<u64*> descend(u64& entry, u32 level) {
  if ((entry & kPresent) != 0 && (entry & kLarge) == 0) return table_at(entry);
  u64* table = new_table();
  if (table == nullptr) return fail(Errc::kOutOfMemory, "no page for a page table");
  if ((entry & kPresent) != 0) {
    u64 below = level_bytes(level - 1);
    u64 bits = level - 1 == 1 ? entry & ~kLarge : entry;
    for (u32 i = 0; i < 512; i++) table[i] = bits + i * below;
  }
  // The leaves decide about rights; the levels above allow everything.
  entry = reinterpret_cast<u64>(table) | kPresent | kWritable | kAccessed;
  return table;
}

bool large_allowed(u32 level) {
  return level == 1 || level == 2 || (level == 3 && has_gib_pages);
}

// A change of the leaves for [address, end) below one table. Each leaf is as large as alignment
// allows.
struct Change {
  u64 address, end;
  u64 target;  // physical address of `address`; unused if `bits` is not present
  u64 bits;    // 0 or kGuardMark: not present
};

Result<void> apply(u64* table, u32 level, Change& c) {
  u64 span = level_bytes(level);
  while (c.address < c.end) {
    u64& entry = table[index_of(c.address, level)];
    bool whole = (c.address | c.target) % span == 0 && c.end - c.address >= span;
    // Unmapping marks only 4 KiB pages at level 1, so that is_guard() finds them.
    if (whole && large_allowed(level) && ((c.bits & kPresent) != 0 || level == 1)) {
      u64 size = level > 1 ? kLarge : 0;
      entry = (c.bits & kPresent) != 0 ? c.bits | size | c.target : c.bits;
      invalidate_page(c.address);
      c.address += span;
      c.target += span;
    } else {
      u64* below = TRY(descend(entry, level));
      TRY(apply(below, level - 1, c));
    }
    if (c.address % (span * 512) == 0) break;  // this table ends here
  }
  return {};
}

Result<void> change(u64 address, u64 target, u64 bytes, u64 bits) {
  if ((address | target | bytes) % kPageBytes != 0)
    return fail(Errc::kInvalidArgument, "not on a page boundary");
  Change c{address, address + bytes, target, bits};
  while (c.address < c.end) TRY(apply(root, kLevels, c));
  return {};
}

Result<void> map_identity(u64 begin, u64 end, Rights rights) {
  if (begin >= end) return {};
  return map(begin, begin, end - begin, rights);
}

// Maps RAM and firmware tables. Reserved ranges stay unmapped until a driver asks.
void map_memory(BootInfo& boot) {
  for (MemoryRange& range : boot.memory) {
    if (range.kind == MemoryKind::kReserved || range.kind == MemoryKind::kBad) continue;
    bool usable = range.kind == MemoryKind::kUsable;
    // Partial pages of RAM are useless; partial pages of tables are not.
    u64 begin =
        usable ? base::round_up(range.base, kPageBytes) : base::round_down(range.base, kPageBytes);
    u64 end = usable ? base::round_down(range.base + range.size, kPageBytes)
                     : base::round_up(range.base + range.size, kPageBytes);
    // Only a CPU without 1 GiB pages and with very much memory runs out of tables here.
    if (!map_identity(begin, end, {}).has_value()) range.kind = MemoryKind::kBad;
  }
}

// Maps the files that the loader brought, wherever they are: QEMU with an option ROM puts the end
// of a file into pages that it lists as reserved.
void map_modules(BootInfo& boot) {
  for (BootModule& module : boot.modules) {
    u64 begin = base::round_down(module.base, kPageBytes);
    u64 end = base::round_up(module.base + module.size, kPageBytes);
    if (!map_identity(begin, end, {}).has_value()) module.size = 0;
  }
}

// Maps the screen that shows a panic of the boot. A framebuffer that cannot be mapped shows
// nothing.
void map_screen(const BootInfo& boot) {
  const Framebuffer& screen = boot.framebuffer;
  static_cast<void>(map_device(boot.text_screen, kPageBytes));
  u64 bytes = u64{screen.pitch} * screen.height;
  if (screen.base != 0) static_cast<void>(map_device(screen.base, bytes, Cache::kWriteCombining));
}

Result<void> map_kernel() {
  auto at = [](const Byte* symbol) { return reinterpret_cast<u64>(symbol); };
  TRY(map_identity(at(__kernel_start), at(__text_end), {.access = Access::kExecute}));
  TRY(map_identity(at(__text_end), at(__rodata_end), {.access = Access::kReadOnly}));
  TRY(map_identity(at(__rodata_end), at(__kernel_end), {}));
  // The BIOS area, which the search for the RSDP reads and nobody writes.
  TRY(map_identity(0xe0000, 0x100000, {.access = Access::kReadOnly}));
  TRY(unmap(0, kPageBytes));
  return unmap_guard(at(boot_stack_guard));
}

// Returns the leaf entry for `address`, or the empty entry where the walk ends.
u64 find_entry(u64 address) {
  const u64* table = root != nullptr ? root : early_root;
  for (u32 level = kLevels;; level--) {
    u64 entry = table[index_of(address, level)];
    if (level == 1 || (entry & kPresent) == 0 || (entry & kLarge) != 0) return entry;
    table = table_at(entry);
  }
}

bool canonical(u64 address) {
  return static_cast<i64>(address << 16) >> 16 == static_cast<i64>(address);
}

Cache cache_of(u64 entry) {
  u64 bits = entry & (kWriteThrough | kCacheDisable);
  return bits == 0               ? Cache::kWriteBack
         : bits == kWriteThrough ? Cache::kWriteCombining
                                 : Cache::kUncached;
}

void walk_table(const u64* table, u32 level, u64 start, void (*visit)(void*, const Leaf&),
                void* context) {
  for (u32 i = 0; i < 512; i++) {
    u64 entry = table[i];
    if ((entry & kPresent) == 0) continue;
    u64 bytes = level_bytes(level);
    u64 address = start + i * bytes;
    if (level == kLevels && i >= 256) address |= 0xffff'0000'0000'0000;
    if (level > 1 && (entry & kLarge) == 0) {
      walk_table(table_at(entry), level - 1, address, visit, context);
      continue;
    }
    visit(context, {.address = address,
                    .physical = entry & kAddress & ~(bytes - 1),
                    .bytes = bytes,
                    .writable = (entry & kWritable) != 0,
                    .executable = (entry & kNoExecute) == 0,
                    .user = (entry & kUser) != 0,
                    .cache = cache_of(entry)});
  }
}

}  // namespace

void init(BootInfo& boot) {
  has_gib_pages = cpuid(0x80000000).a >= 0x80000001 && (cpuid(0x80000001).d >> 26 & 1) != 0;
  root = new_table();
  map_memory(boot);
  map_modules(boot);
  map_screen(boot);
  MUST(map_kernel());
  write_msr(msr::kPat, kPat);
  write_cr3(reinterpret_cast<u64>(root));
}

void init_secondary() {
  write_msr(msr::kPat, kPat);
  write_cr3(reinterpret_cast<u64>(root));
}

Result<void> map(u64 address, u64 to, u64 bytes, Rights rights) {
  return change(address, to, bytes, leaf_bits(rights));
}

Result<void> unmap(u64 address, u64 bytes) {
  return change(address, address, bytes, 0);
}

Result<void> unmap_guard(u64 address) {
  return change(address, address, kPageBytes, kGuardMark);
}

Result<void> map_guard(u64 address) {
  if (!is_guard(address)) return fail(Errc::kInvalidArgument, "not a guard page");
  return map(address, address, kPageBytes, {});
}

Result<void> map_device(u64 base, u64 bytes, Cache cache) {
  u64 begin = base::round_down(base, kPageBytes);
  u64 end = base::round_up(TRY(base::checked_add(base, bytes)), kPageBytes);
  return map(begin, begin, end - begin, {.access = Access::kReadWrite, .cache = cache});
}

Result<void> map_firmware(u64 base, u64 bytes) {
  u64 begin = base::round_down(base, kPageBytes);
  u64 end = base::round_up(TRY(base::checked_add(base, bytes)), kPageBytes);
  if (begin == 0) return fail(Errc::kCorrupt, "a firmware table in page 0");
  for (u64 at = begin; at < end; at += kPageBytes)
    if (!is_mapped(at)) TRY(map(at, at, kPageBytes, {.access = Access::kReadOnly}));
  return {};
}

void set_page_source(u64 (*allocate)()) {
  page_source = allocate;
}

bool is_mapped(u64 address) {
  return canonical(address) && (find_entry(address) & kPresent) != 0;
}

bool is_guard(u64 address) {
  return canonical(address) && (find_entry(address) & (kPresent | kGuardMark)) == kGuardMark;
}

void walk(void (*visit)(void* context, const Leaf& leaf), void* context) {
  walk_table(root, kLevels, 0, visit, context);
}

}  // namespace arch::paging
