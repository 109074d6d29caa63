// SPDX-License-Identifier: GPL-2.0-or-later
// The time of day, once somebody has told it: an offset to the monotonic clock. Thread context.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/types.h"

namespace timing {

// How sure the time is.
enum class Told : u8 {
  kOnce,       // by one reply that nobody has confirmed
  kConfirmed,  // by several that agree, or by whoever runs this machine
};

bool unix_time_known();
bool unix_time_confirmed();  // what lasts (certificates) waits for this
u64 unix_ns();               // since 1970-01-01 UTC; 0 while unknown
void set_unix_ns(u64 now, Told told = Told::kConfirmed);
void forget_unix_time();

// "2026-11-21 14:05:09"
std::string_view format_utc(std::span<char> buffer, u64 unix_ns);

}  // namespace timing
