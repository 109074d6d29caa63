// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the grammar that requests and responses share.
#include "kernel/net/http_syntax.h"

#include <algorithm>

#include "kernel/base/hex.h"
#include "kernel/base/text.h"

namespace net::http_syntax {
namespace {

// Returns true for the characters of a token (RFC 9110, 5.6.2).
bool is_token_char(char c) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return (c >= '0' && c <= '9') || (base::lower(c) >= 'a' && base::lower(c) <= 'z') ||
         kMarks.find(c) != std::string_view::npos;
}

// Returns true for what a quoted string may contain, also after a backslash (RFC 9110, 5.6.4).
bool is_quotable(char c) {
  return c == '\t' || (static_cast<u8>(c) >= 0x20 && c != 0x7f);
}

// Removes `"…"` from the front of `text`. Returns false if there is none.
bool take_quoted(std::string_view& text) {
  for (usize i = 1; i < text.size(); i++) {
    if (text[i] == '"') {
      text.remove_prefix(i + 1);
      return true;
    }
    if (text[i] == '\\') i++;  // the next character is literal
    if (i == text.size() || !is_quotable(text[i])) return false;
  }
  return false;
}

bool take_token(std::string_view& text) {
  usize size = 0;
  while (size < text.size() && is_token_char(text[size])) size++;
  text.remove_prefix(size);
  return size > 0;
}

// Accepts any number of ";name", ";name=token" and ";name=\"quoted\"" (RFC 9112, 7.1.1). The blanks
// that the section tolerates are refused: nobody sends them, and two readers may interpret them
// differently.
bool good_extensions(std::string_view text) {
  while (!text.empty()) {
    if (text.front() != ';') return false;
    text.remove_prefix(1);
    if (!take_token(text)) return false;
    if (!text.starts_with('=')) continue;
    text.remove_prefix(1);
    bool value = text.starts_with('"') ? take_quoted(text) : take_token(text);
    if (!value) return false;
  }
  return true;
}

}  // namespace

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

std::string_view trim_blanks(std::string_view text) {
  return base::trim(text, " \t");
}

std::optional<u64> decimal_length(std::string_view text) {
  constexpr usize kMostDigits = 18;
  if (text.empty() || text.size() > kMostDigits) return std::nullopt;
  u64 value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<u64>(c - '0');
  }
  return value;
}

const char* split_field(std::string_view line, std::string_view& name, std::string_view& value) {
  if (line.front() == ' ' || line.front() == '\t') return "folded header line";
  usize colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
    return "broken header name";
  name = line.substr(0, colon);
  value = trim_blanks(line.substr(colon + 1));
  for (char c : value)
    if ((static_cast<u8>(c) < 0x20 && c != '\t') || c == 0x7f)
      return "control character in a header";
  return nullptr;
}

const char* read_chunk_line(std::string_view line, ChunkLine& out) {
  constexpr usize kMostDigits = 8;
  std::string_view digits = line.substr(0, line.find(';'));
  std::string_view extensions = line.substr(digits.size());
  if (!good_extensions(extensions)) return "broken chunk extension";
  if (digits.empty() || digits.size() > kMostDigits) return "broken chunk size";
  out = {0, extensions.size()};
  for (char c : digits) {
    std::optional<u8> digit = base::hex_digit(c);
    if (!digit) return "broken chunk size";
    out.bytes = out.bytes << 4 | *digit;
  }
  return nullptr;
}

}  // namespace net::http_syntax
