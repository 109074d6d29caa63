// SPDX-License-Identifier: GPL-2.0-or-later
// Operations that tests of the page tables need besides <arch/paging.h>, which cannot make a page
// that breaks the rules.
#pragma once

#include "kernel/base/types.h"

namespace planting {

// Each turns one right of a page around that has an entry of its own.
void flip_no_execute(u64 page);
void flip_user(u64 page);

// Calls visit with each guard page below the stacks of a CPU; of one that was not started there are
// none.
void each_guard(u32 cpu, void (*visit)(void* context, u64 page), void* context);

}  // namespace planting
