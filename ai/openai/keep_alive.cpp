// SPDX-License-Identifier: GPL-2.0-or-later
// How long models stay: seconds, or a duration as Go writes it.
#include "ai/openai/parameters.h"

namespace ai::openai {
namespace {

struct UnitRow {
  std::string_view name;
  u64 ns;
};
constexpr u64 kNsPerSecond = 1'000'000'000;
constexpr UnitRow kUnits[] = {{"h", 3600 * kNsPerSecond},
                              {"m", 60 * kNsPerSecond},
                              {"s", kNsPerSecond},
                              {"ms", 1'000'000},
                              {"us", 1000},
                              {"\u00b5s", 1000},
                              {"ns", 1},
                              {"", kNsPerSecond}};
constexpr u64 kMost = u64{1} << 62;

const UnitRow* unit_named(std::string_view name) {
  for (const UnitRow& row : kUnits)
    if (row.name == name) return &row;
  return nullptr;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

Result<u64> read_keep_alive(std::string_view text) {
  constexpr const char* kForm = "a time is a number of seconds, or like 90s and 1h30m";
  bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty()) return fail(Errc::kInvalidArgument, kForm);
  u64 sum = 0;
  while (!text.empty()) {
    usize digits = 0;
    while (digits < text.size() && (is_digit(text[digits]) || text[digits] == '.')) digits++;
    usize end = digits;
    while (end < text.size() && !is_digit(text[end]) && text[end] != '.') end++;
    Result<json::Document> number = json::Document::parse(text.substr(0, digits));
    const UnitRow* unit = unit_named(text.substr(digits, end - digits));
    if (!number.has_value() || unit == nullptr) return fail(Errc::kInvalidArgument, kForm);
    constexpr u64 kMilli = 1000;
    Result<i64> milli = number->root().scaled(3);
    u64 ns = 0;
    bool far =
        !milli.has_value() || __builtin_mul_overflow(static_cast<u64>(*milli), unit->ns, &ns);
    sum = std::min(far ? kMost : sum + ns / kMilli, kMost);
    text.remove_prefix(end);
  }
  return negative && sum > 0 ? kForever : sum;
}

Result<u64> keep_alive_field(json::Value body, u64 absent, ApiError& error) {
  json::Value value = body.find("keep_alive");
  if (value.is_null()) return absent;
  Result<u64> ns = value.is_number() || value.is_string()
                       ? read_keep_alive(value.text())
                       : Result<u64>(fail(Errc::kInvalidArgument, "neither"));
  if (!ns.has_value())
    return error.bad("keep_alive",
                     "'keep_alive' must be a number of seconds or a time like \"90s\", \"1h30m\"");
  return ns;
}

}  // namespace ai::openai
