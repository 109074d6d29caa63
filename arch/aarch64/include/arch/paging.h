// SPDX-License-Identifier: GPL-2.0-or-later
// The one address space: identity-mapped, nothing both writable and executable.
//
// Every CPU uses the same tables and is told of changes by the hardware (TLB maintenance of the
// inner shareable domain). Each of two rules of the architecture is kept in one function of
// paging.cpp, because breaking it corrupts translations:
// - A live entry is never changed into another live one: it is taken away, the TLBs forget it, and
//   only then the new one is written (break-before-make, Arm ARM D8.14.1). write_entry() does so.
// - A 2 MiB block of RAM cannot be split that way while another CPU uses it, so split_block() makes
//   the others wait in their handlers meanwhile. It happens when the first guard page of a block is
//   asked for.
// Functions run in the thread context of CPU 0 unless they say otherwise.
#pragma once

#include "kernel/base/result.h"

struct BootInfo;

namespace arch::paging {

constexpr u64 kPageBytes = 4096;

enum class Access : u8 { kReadOnly, kReadWrite, kExecute };
enum class Cache : u8 { kWriteBack, kWriteCombining, kUncached };

struct Rights {
  Access access = Access::kReadWrite;
  Cache cache = Cache::kWriteBack;
};

// Adds RAM and what the loader brought to the early tables. A range for which there are not enough
// tables becomes kBad.
void init(BootInfo& boot);

// Maps virtual [address, address + bytes) to physical `to`; replaces what was there. Page aligned.
Result<void> map(u64 address, u64 to, u64 bytes, Rights rights);
// Unmaps one page below a stack. Fault reports then call it a guard page.
Result<void> unmap_guard(u64 address);
// Maps a guard page again.
Result<void> map_guard(u64 address);
// Maps the registers of a device, or a framebuffer (write-combining), at their own address.
Result<void> map_device(u64 base, u64 bytes, Cache cache = Cache::kUncached);
// Makes firmware tables readable, wherever they lie. Memory that is mapped already stays as it is.
Result<void> map_firmware(u64 base, u64 bytes);

// Sets the source of new tables once the built-in pool is used up. It returns a zeroed page, or 0.
void set_page_source(u64 (*allocate)());

// ---- inspection; any context ---------------------------------------------------------------

bool is_mapped(u64 address);
bool is_guard(u64 address);

struct Leaf {
  u64 address, physical, bytes;
  bool writable, executable, user;
  Cache cache;
};
// Calls visit for each leaf of the tables in use, by address.
void walk(void (*visit)(void* context, const Leaf& leaf), void* context);

}  // namespace arch::paging
