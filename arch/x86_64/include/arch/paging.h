// SPDX-License-Identifier: GPL-2.0-or-later
// The one address space: identity-mapped, nothing both writable and executable.
//
// Changes take effect on the calling CPU at once; no other CPU is told (no TLB shootdown), because
// after boot only these change, and none needs it:
// - What was absent is mapped (devices, firmware tables, a dead thread's guard page). CPUs do not
//   keep entries of absent pages (Intel SDM vol. 3, 4.10.2.3).
// - A page becomes a guard, and large pages above it are split. Another CPU may go on using an old
//   entry: it leads to the same memory with the same rights save that the guard is still there,
//   and only the stack's owner, a thread of CPU 0, comes that way. A CPU's own stacks get their
//   guards before it is started.
// Pages are never moved, and rights of RAM that another CPU may use are never reduced. Whoever adds
// such a change adds the shootdown.
// Thread context of CPU 0, except what says otherwise.
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

// Builds the tables over the loader's map and switches to them. A range for which there are not
// enough tables (no 1 GiB pages and very much memory) becomes kBad.
void init(BootInfo& boot);
// Switches a further CPU to them.
void init_secondary();

// Maps virtual [address, address + bytes) to physical `to`; replaces what was there. Page aligned.
Result<void> map(u64 address, u64 to, u64 bytes, Rights rights);
// Takes the pages away: an access faults and the report says so.
Result<void> unmap(u64 address, u64 bytes);
// One page below a stack. The fault report calls it a guard page.
Result<void> unmap_guard(u64 address);
// Gives a guard page back to its memory.
Result<void> map_guard(u64 address);
// Registers of a device, uncached (or a framebuffer, write-combining), at their own address.
Result<void> map_device(u64 base, u64 bytes, Cache cache = Cache::kUncached);
// Firmware tables: readable from now on, wherever they lie. RAM stays as it is.
Result<void> map_firmware(u64 base, u64 bytes);

// Where new tables come from once the built-in pool is used up: a zeroed page, or 0.
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
