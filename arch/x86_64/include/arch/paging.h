// SPDX-License-Identifier: GPL-2.0-or-later
// The one address space: identity-mapped, and nothing is both writable and executable.
//
// Changes take effect at once on the calling CPU; other CPUs are not told (no TLB shootdown),
// because after boot only these changes happen, and none needs it:
// - Absent addresses are mapped (devices, firmware tables, a dead thread's guard page). CPUs do not
//   cache absent pages (Intel SDM vol. 3, 4.10.2.3).
// - A page becomes a guard, and large pages above it are split. Another CPU may keep using an old
//   entry, which leads to the same memory with the same rights, except that the guard page is still
//   mapped there. Only the stack's owner, a thread of CPU 0, touches it. A CPU's own stacks get
//   their guards before the CPU is started.
// Pages are never moved, and the rights of RAM that another CPU may use are never reduced. A change
// that does so must add the shootdown.
// For threads of CPU 0, unless a function says otherwise.
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
// Switches another CPU to the tables.
void init_secondary();

// Maps virtual [address, address + bytes) to physical `to` and replaces what was there. Page
// aligned.
Result<void> map(u64 address, u64 to, u64 bytes, Rights rights);
// Unmaps the pages: an access faults, and the report says so.
Result<void> unmap(u64 address, u64 bytes);
// Unmaps one page below a stack. The fault report calls it a guard page.
Result<void> unmap_guard(u64 address);
// Maps a guard page again.
Result<void> map_guard(u64 address);
// Maps a device's registers, uncached (or a framebuffer, write-combining), at their own address.
Result<void> map_device(u64 base, u64 bytes, Cache cache = Cache::kUncached);
// Makes firmware tables readable, wherever they are. RAM stays as it is.
Result<void> map_firmware(u64 base, u64 bytes);

// Sets where new tables come from once the built-in pool is used up: a zeroed page, or 0.
void set_page_source(u64 (*allocate)());

// ---- queries; any context ------------------------------------------------------------------

bool is_mapped(u64 address);
bool is_guard(u64 address);

struct Leaf {
  u64 address, physical, bytes;
  bool writable, executable, user;
  Cache cache;
};
// Calls visit() for each leaf of the tables in use, by address.
void walk(void (*visit)(void* context, const Leaf& leaf), void* context);

}  // namespace arch::paging
