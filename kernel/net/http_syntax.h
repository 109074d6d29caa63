// SPDX-License-Identifier: GPL-2.0-or-later
// Parts of HTTP/1.1's grammar that requests and responses share (RFC 9110, RFC 9112): tokens,
// header lines, lengths, chunk lines. Pure, and as strict as the request parser. Any context.
#pragma once

#include <optional>
#include <string_view>

#include "kernel/base/types.h"

namespace net::http_syntax {

bool is_token(std::string_view text);                      // RFC 9110, 5.6.2
std::string_view trim_blanks(std::string_view text);       // RFC 9110, 5.6.3
std::optional<u64> decimal_length(std::string_view text);  // of at most 18 digits

// Splits a header or a trailer (RFC 9112, 5). Returns null, or what is wrong with it.
const char* split_field(std::string_view line, std::string_view& name, std::string_view& value);

// Reads the line before a chunk (RFC 9112, 7.1): its size in at most 8 digits, and how many bytes
// of extensions, which mean nothing, follow. Returns null, or what is wrong with it.
struct ChunkLine {
  u64 bytes = 0;
  usize extension_bytes = 0;
};
const char* read_chunk_line(std::string_view line, ChunkLine& out);

}  // namespace net::http_syntax
