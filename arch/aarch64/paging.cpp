// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps four-level page tables for one identity-mapped address space: 4 KiB granule, 48 bits,
// TTBR0. Arm ARM DDI 0487, chapter D8.
#include <arch/paging.h>
#include <arch/registers.h>

#include "arch/aarch64/paging_tables.h"
#include "arch/aarch64/platform.h"
#include "arch/aarch64/smp.h"
#include "boot/boot_info.h"
#include "kernel/base/bytes.h"
#include "kernel/sync/lock.h"

extern "C" {
extern Byte __kernel_start[], __code_start[], __text_end[], __rodata_end[], __kernel_end[];
extern Byte boot_stack_guard[];
constinit arch::paging::MmuRegisters mmu_registers{};
void early_map(u64 device_tree);
}

namespace arch::paging {
namespace {

using Table = u64[512];

// Entry bits.
constexpr u64 kValid = 1 << 0, kTableOrPage = 1 << 1, kUser = 1 << 6, kReadOnly = 1 << 7,
              kInner = 3 << 8, kAccessed = 1 << 10, kNoExecute = u64{1} << 53 | u64{1} << 54,
              kNoUserExecute = u64{1} << 54;
// Marks a guard page, in entries that are not valid. The CPU ignores it.
constexpr u64 kGuardMark = u64{1} << 55;
constexpr u64 kAddress = 0x0000'ffff'ffff'f000;

// Memory types by MAIR index: 0 normal write-back, 1 device nGnRE, 2 normal not cached. A
// framebuffer has type 2, because unaligned accesses to a device fault.
constexpr u64 kMair = 0x44'04'ff;
constexpr u64 kTypeBits[] = {0 << 2 | kInner, 2 << 2, 1 << 2};
constexpr u64 kTypeMask = 7 << 2;

constexpr u32 kLevels = 4;  // counted from the leaf: level 1 = 4 KiB, what the manual calls level 3
constexpr u64 level_bytes(u32 level) {
  return u64{1} << (12 + 9 * (level - 1));
}
constexpr u32 index_of(u64 address, u32 level) {
  return address >> (12 + 9 * (level - 1)) & 511;
}
// There are no 1 GiB blocks, so that one new table is enough to split a block into pages.
constexpr u32 kLargestLevel = 2;

// Suffices for 256 GiB of RAM at one table for each GiB, and for image, device tree and devices.
// Later tables come from the physical allocator. The pool lies in the image, whose pages are never
// part of a block, so the entry that split_block() takes away never maps its own table.
constexpr u32 kPoolPages = 288;
alignas(kPageBytes) constinit Table pool[kPoolPages];
constinit u32 pool_used = 0;
using PageSource = u64 (*)();
constinit PageSource page_source = nullptr;

u64* root() {
  return pool[0];
}
u64* table_at(u64 entry) {
  return reinterpret_cast<u64*>(entry & kAddress);
}
u64* new_table() {
  if (pool_used < kPoolPages) return pool[pool_used++];
  return page_source == nullptr ? nullptr : reinterpret_cast<u64*>(page_source());
}

bool is_table(u64 entry, u32 level) {
  return level > 1 && (entry & (kValid | kTableOrPage)) == (kValid | kTableOrPage);
}

u64 leaf_bits(Rights rights) {
  u64 bits = kValid | kAccessed | kTypeBits[static_cast<u32>(rights.cache)];
  if (rights.access != Access::kReadWrite) bits |= kReadOnly;
  return bits | (rights.access == Access::kExecute ? kNoUserExecute : kNoExecute);
}

// Returns the operand of TLBI VAAE1IS, which is the page's number.
u64 tlb_operand(u64 address) {
  return address >> 12 & 0xfff'ffff'ffff;
}

// Writes an entry. All leaves are changed here, except that split_block() replaces a block. Between
// two different valid entries lies an invalid one, of which every CPU's TLB has been told
// (break-before-make, Arm ARM D8.14.1). An entry that was invalid is in no TLB, so the new one only
// has to be visible to the walker before the address is used (D8.2.6).
void write_entry(u64& entry, u64 value, u64 address) {
  u64 old = entry;
  if (old == value) return;
  volatile u64* at = &entry;
  if ((old & kValid) != 0) {
    *at = (value & kValid) != 0 ? 0 : value;
    asm volatile("dsb ishst\n tlbi vaae1is, %0\n dsb ish\n isb"
                 :
                 : "r"(tlb_operand(address))
                 : "memory");
    if ((value & kValid) == 0) return;
  }
  *at = value;
  asm volatile("dsb ishst\n isb" : : : "memory");
}

// Replaces a live block by the table of its pieces. In between the block is mapped nowhere, so the
// other CPUs wait in their handlers, and this one runs from registers and the image's own pages.
Result<void> split_block(u64& entry, u64 table_entry, u64 address) {
  locks::InterruptsOff off;
  TRY(smp::hold_other_cpus());
  asm volatile(
      "str xzr, [%0]\n"
      "dsb ishst\n"
      "tlbi vaae1is, %1\n"
      "dsb ish\n"
      "str %2, [%0]\n"
      "dsb ishst\n"
      "isb\n"
      :
      : "r"(&entry), "r"(tlb_operand(address)), "r"(table_entry)
      : "memory");
  smp::release_other_cpus();
  return {};
}

// Returns the table below `entry`. Makes it if there is none, and splits a block into equal pages.
Result<u64*> descend(u64& entry, u32 level, u64 address) {
  if (is_table(entry, level)) return table_at(entry);
  u64* table = new_table();
  if (table == nullptr) return fail(Errc::kOutOfMemory, "no page for a page table");
  u64 value = reinterpret_cast<u64>(table) | kValid | kTableOrPage;
  asm volatile("dsb ishst" : : : "memory");  // orders the table before the entry that names it
  if ((entry & kValid) == 0) {
    write_entry(entry, value, address);
    return table;
  }
  for (u32 i = 0; i < 512; i++) table[i] = (entry | kTableOrPage) + i * level_bytes(level - 1);
  asm volatile("dsb ishst" : : : "memory");  // the pieces before the entry that leads to them
  TRY(split_block(entry, value, address));
  return table;
}

enum class Mode : u8 { kFillAbsent, kReplace };

// The change that apply() makes: leaves for [address, end), each as large as alignment allows.
struct Change {
  u64 address, end;
  u64 target;  // physical address of `address`; unused when `bits` is not valid
  u64 bits;    // 0 or kGuardMark: not valid
  Mode mode;
};

Result<void> apply(u64* table, u32 level, Change& c) {
  u64 span = level_bytes(level);
  while (c.address < c.end) {
    u64& entry = table[index_of(c.address, level)];
    bool whole = (c.address | c.target) % span == 0 && c.end - c.address >= span;
    bool block = entry != 0 && !is_table(entry, level);
    u64 piece = std::min(c.end, base::round_down(c.address, span) + span) - c.address;
    if (block && c.mode == Mode::kFillAbsent) {
      c.address += piece;  // stays: it was mapped before, or is a guard
      c.target += piece;
    } else if (whole && level <= kLargestLevel && !is_table(entry, level) &&
               ((c.bits & kValid) != 0 || level == 1)) {
      u64 size = level == 1 ? kTableOrPage : 0;
      write_entry(entry, (c.bits & kValid) != 0 ? c.bits | size | c.target : c.bits, c.address);
      c.address += span;
      c.target += span;
    } else {
      u64* below = TRY(descend(entry, level, c.address));
      TRY(apply(below, level - 1, c));
    }
    if (c.address % (span * 512) == 0) break;  // this table ends here
  }
  return {};
}

Result<void> change(u64 address, u64 target, u64 bytes, u64 bits, Mode mode) {
  if ((address | target | bytes) % kPageBytes != 0)
    return fail(Errc::kInvalidArgument, "not on a page boundary");
  if (bytes > kAddress || address > kAddress + kPageBytes - bytes)
    return fail(Errc::kInvalidArgument, "past the end of the address space");
  Change c{address, address + bytes, target, bits, mode};
  while (c.address < c.end) TRY(apply(root(), kLevels, c));
  return {};
}

Result<void> fill(u64 begin, u64 end, Rights rights) {
  begin = base::round_down(begin, kPageBytes);
  end = base::round_up(end, kPageBytes);
  if (begin >= end) return {};
  return change(begin, begin, end - begin, leaf_bits(rights), Mode::kFillAbsent);
}

// Maps RAM and firmware tables. What is reserved stays unmapped until a driver asks for it.
void map_memory(BootInfo& boot) {
  for (MemoryRange& range : boot.memory) {
    if (range.kind == MemoryKind::kReserved || range.kind == MemoryKind::kBad) continue;
    bool usable = range.kind == MemoryKind::kUsable;
    // Partial pages of RAM are useless, partial pages of tables are not.
    u64 begin = usable ? base::round_up(range.base, kPageBytes) : range.base;
    u64 end =
        usable ? base::round_down(range.base + range.size, kPageBytes) : range.base + range.size;
    if (!fill(begin, end, {}).has_value()) range.kind = MemoryKind::kBad;
  }
}

// Returns the leaf entry for `address`, or the empty entry where the walk ends.
u64 find_entry(u64 address) {
  const u64* table = root();
  for (u32 level = kLevels;; level--) {
    u64 entry = table[index_of(address, level)];
    if (!is_table(entry, level)) return entry;
    table = table_at(entry);
  }
}

bool in_range(u64 address) {
  return address >> 48 == 0;
}

Cache cache_of(u64 entry) {
  u64 bits = entry & kTypeMask;
  return bits == 0                            ? Cache::kWriteBack
         : bits == (kTypeBits[1] & kTypeMask) ? Cache::kWriteCombining
                                              : Cache::kUncached;
}

void walk_table(const u64* table, u32 level, u64 start, void (*visit)(void*, const Leaf&),
                void* context) {
  for (u32 i = 0; i < 512; i++) {
    u64 entry = table[i];
    if ((entry & kValid) == 0) continue;
    u64 bytes = level_bytes(level);
    u64 address = start + i * bytes;
    if (is_table(entry, level)) {
      walk_table(table_at(entry), level - 1, address, visit, context);
      continue;
    }
    visit(context, {.address = address,
                    .physical = entry & kAddress & ~(bytes - 1),
                    .bytes = bytes,
                    .writable = (entry & kReadOnly) == 0,
                    .executable = (entry & kNoExecute) != kNoExecute,
                    .user = (entry & kUser) != 0,
                    .cache = cache_of(entry)});
  }
}

u64 at(const Byte* symbol) {
  return reinterpret_cast<u64>(symbol);
}

void map_image() {
  MUST(fill(at(__kernel_start), at(__code_start), {.access = Access::kReadOnly}));
  MUST(fill(at(__code_start), at(__text_end), {.access = Access::kExecute}));
  MUST(fill(at(__text_end), at(__rodata_end), {.access = Access::kReadOnly}));
  MUST(change(at(boot_stack_guard), 0, kPageBytes, kGuardMark, Mode::kFillAbsent));
  MUST(fill(at(__rodata_end), at(__kernel_end), {}));
}

void set_registers() {
  constexpr u64 kRegionBits = 16, kCachedWalks = 1 << 8 | 1 << 10, kSharedWalks = 3 << 12,
                kNoUpperHalf = 1 << 23;
  constexpr u64 k48Bits = 5;
  // RES1 | I | WXN: writable is never executable, whatever the tables say | SA | C | M
  constexpr u64 kSctlr = 0x30d00800 | 1 << 12 | 1 << 19 | 1 << 3 | 1 << 2 | 1 << 0;
  u64 size = std::min(READ_SYSTEM("id_aa64mmfr0_el1") & 15, k48Bits);
  mmu_registers = {
      .mair = kMair,
      .tcr = kRegionBits | kCachedWalks | kSharedWalks | kNoUpperHalf | size << 32,
      .ttbr0 = reinterpret_cast<u64>(root()),
      .sctlr = kSctlr,
  };
}

}  // namespace

void init(BootInfo& boot) {
  map_memory(boot);
  for (BootModule& module : boot.modules)  // maps modules wherever they lie
    if (!fill(module.base, module.base + module.size, {}).has_value()) module.size = 0;
  const Framebuffer& screen = boot.framebuffer;
  u64 bytes = u64{screen.pitch} * screen.height;
  if (screen.base == 0) return;
  if (!map_device(screen.base, bytes, Cache::kWriteCombining).has_value()) return;
  // The firmware may have drawn through its caches. Its lines must not be written over ours later.
  clean_lines(screen.base, screen.base + bytes);
}

Result<void> map(u64 address, u64 to, u64 bytes, Rights rights) {
  return change(address, to, bytes, leaf_bits(rights), Mode::kReplace);
}

Result<void> unmap_guard(u64 address) {
  return change(address, address, kPageBytes, kGuardMark, Mode::kReplace);
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
  u64 end = TRY(base::checked_add(base, bytes));
  if (base < kPageBytes) return fail(Errc::kCorrupt, "a firmware table in page 0");
  return fill(base, end, {.access = Access::kReadOnly});
}

void set_page_source(u64 (*allocate)()) {
  page_source = allocate;
}

bool is_mapped(u64 address) {
  return in_range(address) && (find_entry(address) & kValid) != 0;
}

bool is_guard(u64 address) {
  return in_range(address) && (find_entry(address) & (kValid | kGuardMark)) == kGuardMark;
}

void walk(void (*visit)(void* context, const Leaf& leaf), void* context) {
  walk_table(root(), kLevels, 0, visit, context);
}

}  // namespace arch::paging

// Maps what aarch64_entry needs to find everything else. Runs with the MMU off. The device tree
// stays readable for ever, because its texts are used in place.
void early_map(u64 device_tree) {
  using namespace arch::paging;
  pool_used = 1;  // the root
  map_image();
  if (u64 bytes = arch::device_tree_bytes(device_tree); bytes != 0)
    MUST(fill(device_tree, device_tree + bytes, {.access = Access::kReadOnly}));
  set_registers();
}
