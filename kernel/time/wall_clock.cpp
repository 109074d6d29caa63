// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps the offset between the monotonic clock and the time of day.
#include "kernel/time/wall_clock.h"

#include <optional>

#include "kernel/base/format.h"
#include "kernel/base/result.h"
#include "kernel/time/clock.h"

namespace timing {
namespace {
constinit u64 boot_unix_ns = 0;  // the time of day at monotonic 0
constinit bool confirmed = false;
constinit std::optional<u64> fixed_date;  // seconds
}  // namespace

bool unix_time_known() {
  return boot_unix_ns != 0;
}

u64 unix_ns() {
  return boot_unix_ns == 0 ? 0 : boot_unix_ns + now_ns();
}

bool unix_time_confirmed() {
  return unix_time_known() && confirmed;
}

void set_unix_ns(u64 now, Told told) {
  boot_unix_ns = now - now_ns();
  confirmed = told == Told::kConfirmed;
}

void forget_unix_time() {
  boot_unix_ns = 0;
  confirmed = false;
}

u64 file_date() {
  return fixed_date.value_or(unix_ns() / 1'000'000'000);
}

FixedFileDate::FixedFileDate(u64 unix_seconds) {
  ASSERT(!fixed_date.has_value());
  fixed_date = unix_seconds;
}

FixedFileDate::~FixedFileDate() {
  fixed_date.reset();
}

// Days are counted from 1 March of year 0, so that a leap day is the last of its year.
UtcTime utc_of(u64 unix_seconds) {
  constexpr u64 kDay = 86400, kDaysToEpoch = 719468, kDaysOf400Years = 146097;
  u64 days = unix_seconds / kDay + kDaysToEpoch;
  u64 era = days / kDaysOf400Years, day_of_era = days % kDaysOf400Years;
  u64 year = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  u64 day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
  u64 march_month = (5 * day_of_year + 2) / 153;
  u64 day = day_of_year - (153 * march_month + 2) / 5 + 1;
  u64 month = march_month < 10 ? march_month + 3 : march_month - 9;
  u64 s = unix_seconds % kDay;
  return {era * 400 + year + (month <= 2 ? 1 : 0), month, day, s / 3600, s / 60 % 60, s % 60};
}

std::string_view format_utc(std::span<char> buffer, u64 unix_ns) {
  UtcTime t = utc_of(unix_ns / 1'000'000'000);
  return base::format_into(buffer, "{}-{:02}-{:02} {:02}:{:02}:{:02}", t.year, t.month, t.day,
                           t.hour, t.minute, t.second);
}

}  // namespace timing
