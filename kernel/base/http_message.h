// SPDX-License-Identifier: GPL-2.0-or-later
// An HTTP request as the parser and the service share it: views into bytes that another object owns
// (RFC 9110).
#pragma once

#include <algorithm>
#include <span>
#include <string_view>

#include "kernel/base/text.h"

namespace base {

struct HttpHeader {
  std::string_view name, value;
};

// The function that passes it states how long its views are valid.
struct HttpRequest {
  std::string_view method = {};
  std::string_view path = {};   // decoded
  std::string_view query = {};  // still escaped
  std::span<const HttpHeader> headers = {};
  std::string_view body = {};  // empty while only the head has arrived
  bool http_1_0 = false;
  bool keep_alive = true;

  // Returns the first header of that name, in any letter case, or "".
  std::string_view header(std::string_view name) const {
    for (const HttpHeader& h : headers)
      if (equal_ignoring_case(h.name, name)) return h.value;
    return {};
  }
  bool has(std::string_view name) const {
    return std::any_of(headers.begin(), headers.end(),
                       [&](const HttpHeader& h) { return equal_ignoring_case(h.name, name); });
  }
};

}  // namespace base
