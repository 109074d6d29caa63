// SPDX-License-Identifier: GPL-2.0-or-later
// Functions on ASCII text. Other bytes are left as they are; nothing allocates. Any context.
#pragma once

#include <algorithm>
#include <string_view>

#include "kernel/base/types.h"

namespace base {

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

constexpr bool contains_ignoring_case(std::string_view text, std::string_view part) {
  return part.empty() || !std::ranges::search(text, part, {}, lower, lower).empty();
}

// Returns `text` without the `blanks` at both ends.
constexpr std::string_view trim(std::string_view text, std::string_view blanks = " \t\r\n") {
  usize first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// Returns what follows the last '/': the name of a file without its folders.
constexpr std::string_view base_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

// Removes the text before `separator`, and the separator, from `rest` and returns that text.
// Without a separator it takes all of `rest`. `while (!rest.empty()) use(split_off(rest, ','))`
// visits the parts of a list.
constexpr std::string_view split_off(std::string_view& rest, char separator) {
  std::string_view part = rest.substr(0, rest.find(separator));
  rest.remove_prefix(std::min(rest.size(), part.size() + 1));
  return part;
}

}  // namespace base
