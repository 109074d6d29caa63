// SPDX-License-Identifier: GPL-2.0-or-later
// Helpers with which commands read their words.
#include "console/shell/command.h"

namespace console {

Result<u64> parse_number(std::string_view text) {
  u64 value = 0;
  if (text.empty()) return fail(Errc::kInvalidArgument, "a number is missing");
  for (char c : text) {
    if (c < '0' || c > '9') return fail(Errc::kInvalidArgument, "not a number");
    if (__builtin_mul_overflow(value, u64{10}, &value) ||
        __builtin_add_overflow(value, static_cast<u64>(c - '0'), &value))
      return fail(Errc::kOutOfRange, "the number is too large");
  }
  return value;
}

Result<u64> number_at(const Arguments& arguments, usize index, u64 otherwise) {
  if (index >= arguments.words.size()) return otherwise;
  return parse_number(arguments.words[index]);
}

}  // namespace console
