// SPDX-License-Identifier: GPL-2.0-or-later
// Addresses and request targets: host, path, query and percent escapes (RFC 3986). Any context for
// split_target(); the others allocate.
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

// Appends the text with everything escaped that may have a meaning in a query.
Result<void> percent_encode(std::string_view text, String& out);

// Returns the decoded value of `name` in a query, or kNotFound.
Result<String> query_value(std::string_view query, std::string_view name);

// An absolute address of http or https.
struct Url {
  bool secure = false;  // https
  String host;          // in lower case; an IPv6 address without its brackets
  u16 port = 0;
  String target;  // path and query, as they are sent; begins with '/'

  Result<Url> clone() const;
  // "https://host:port/path?query"; a port that is its scheme's own is left out.
  Result<String> text() const;
  // "host:port" as the header Host has it.
  Result<String> authority() const;
};

// Refuses names and passwords in front of the host, and characters that must be escaped.
Result<Url> parse_url(std::string_view text);
// Returns the address that `reference`, which may be relative, means in a document at `base` (5.2).
Result<Url> follow_reference(const Url& base, std::string_view reference);
// Returns true if what one of them is trusted with may be sent to the other: the same scheme, host
// and port.
bool same_origin(const Url& a, const Url& b);

}  // namespace net
