// SPDX-License-Identifier: GPL-2.0-or-later
// Counters and failure injection of the hosted allocator, for tests.
#pragma once

#include "kernel/base/types.h"

namespace host {

u64 allocation_count();  // base::allocate calls and page requests so far
i64 live_allocations();  // not yet freed
u64 live_bytes();        // their bytes, as rounded by malloc
// Makes the nth allocation from now on fail (1 = the next); 0 = none.
void fail_allocation(u64 nth);
// For other hosted allocators (pages): counts one allocation and returns whether it may succeed.
bool allocation_may_succeed();

}  // namespace host
