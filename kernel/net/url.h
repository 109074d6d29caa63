// SPDX-License-Identifier: GPL-2.0-or-later
// Request targets: path, query and percent escapes (RFC 3986). Any context for split_target(); the
// others allocate.
#pragma once

#include <string_view>

#include "kernel/base/containers.h"

namespace net {

struct Target {
  std::string_view path, query;  // both still escaped; the query without its '?'
};

// Accepts "/path?query" and "http://host/path?query" (RFC 9112, 3.2); drops a fragment.
Target split_target(std::string_view target);

// Decodes %XX, and '+' as a blank in queries. Returns kCorrupt for broken escapes and for %00.
enum class PlusIsBlank : u8 { kNo, kYes };
Result<void> percent_decode(std::string_view text, PlusIsBlank plus, String& out);

// Returns the decoded value of `name` in a query, or kNotFound.
Result<String> query_value(std::string_view query, std::string_view name);

}  // namespace net
