// SPDX-License-Identifier: GPL-2.0-or-later
// The time of day, once it is known: an offset to the monotonic clock. For threads.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/types.h"

namespace timing {

// How certain the time is.
enum class Told : u8 {
  kOnce,       // from one reply that nothing has confirmed
  kConfirmed,  // from several replies that agree, or from the person who runs this machine
};

bool unix_time_known();
bool unix_time_confirmed();  // certificates and the like wait for this
u64 unix_ns();               // since 1970-01-01 UTC; 0 while unknown
void set_unix_ns(u64 now, Told told = Told::kConfirmed);
void forget_unix_time();

// The date of what file systems write, in seconds since 1970; 0 while unknown. It is the time of
// day, except while a FixedFileDate exists.
u64 file_date();

// Gives all files that are written meanwhile one date, so that a disk that is made twice has the
// same bytes. One exists at a time.
class FixedFileDate {
 public:
  explicit FixedFileDate(u64 unix_seconds);
  ~FixedFileDate();
  FixedFileDate(const FixedFileDate&) = delete;
  FixedFileDate& operator=(const FixedFileDate&) = delete;
};

struct UtcTime {
  u64 year, month, day;  // from 1
  u64 hour, minute, second;
};
UtcTime utc_of(u64 unix_seconds);

// Returns "2026-11-21 14:05:09".
std::string_view format_utc(std::span<char> buffer, u64 unix_ns);

}  // namespace timing
