// SPDX-License-Identifier: GPL-2.0-or-later
// Counters and failure injection of the hosted allocator, for tests.
#pragma once

#include "kernel/base/types.h"

namespace host {

u64 allocation_count();  // base::allocate calls and page requests so far
i64 live_allocations();  // not yet freed
u64 live_bytes();        // of them, as malloc rounded
// Makes the nth allocation from now fail (1 = the next); 0 = never again.
void fail_allocation(u64 nth);
// For other hosted providers (pages): counts one allocation and says whether it may succeed.
bool allocation_may_succeed();

}  // namespace host
