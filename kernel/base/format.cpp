// SPDX-License-Identifier: GPL-2.0-or-later
// Implements bounded formatting.
#include "kernel/base/format.h"

namespace base {
namespace {

struct Spec {
  u32 width = 0;
  char align = 0;  // '<', '>' or 0 for the kind's default
  bool zero = false;
  bool hex = false;
  bool prefix = false;  // "#": 0x in front
};

// Parses the text between ':' and '}'. Ignores unknown characters, because every format string is
// in this tree.
Spec parse_spec(std::string_view text) {
  Spec spec;
  for (usize i = 0; i < text.size(); i++) {
    char c = text[i];
    if (c == '<' || c == '>') {
      spec.align = c;
    } else if (c == '#') {
      spec.prefix = true;
    } else if (c == 'x') {
      spec.hex = true;
    } else if (c >= '0' && c <= '9') {
      if (c == '0' && spec.width == 0) spec.zero = true;
      spec.width = spec.width * 10 + static_cast<u32>(c - '0');
    }
  }
  return spec;
}

void pad(Writer& out, char fill, usize count) {
  while (count > 0) {
    constexpr std::string_view kSpaces = "                ";
    constexpr std::string_view kZeros = "0000000000000000";
    usize part = std::min(count, kSpaces.size());
    out.write((fill == '0' ? kZeros : kSpaces).substr(0, part));
    count -= part;
  }
}

// Returns the display columns of UTF-8 text. Continuation bytes take none.
usize columns(std::string_view text) {
  usize n = 0;
  for (char c : text) n += (static_cast<u8>(c) & 0xc0) != 0x80;
  return n;
}

void write_padded(Writer& out, std::string_view text, const Spec& spec, char default_align) {
  usize width = columns(text);
  usize fill = spec.width > width ? spec.width - width : 0;
  char align = spec.align != 0 ? spec.align : default_align;
  if (align == '>') pad(out, ' ', fill);
  out.write(text);
  if (align == '<') pad(out, ' ', fill);
}

// Writes the digits of `value` so that they end before `end`. Returns where they begin.
char* digits_before(char* end, u64 value, u32 base) {
  do {
    *--end = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0);
  return end;
}

u64 magnitude(i64 value) {
  return value < 0 ? u64{0} - static_cast<u64>(value) : static_cast<u64>(value);
}

void write_number(Writer& out, u64 value, bool negative, const Spec& spec) {
  char buffer[24];
  char* end = buffer + sizeof buffer;
  char* begin = digits_before(end, value, spec.hex ? 16 : 10);
  std::string_view sign = negative ? "-" : spec.prefix && spec.hex ? "0x" : "";
  usize length = static_cast<usize>(end - begin) + sign.size();
  usize fill = spec.width > length ? spec.width - length : 0;
  if (!spec.zero && spec.align != '<') pad(out, ' ', fill);
  out.write(sign);
  if (spec.zero) pad(out, '0', fill);
  out.write({begin, static_cast<usize>(end - begin)});
  if (!spec.zero && spec.align == '<') pad(out, ' ', fill);
}

void write_decimal(Writer& out, i64 scaled, u32 digits, const Spec& spec) {
  u64 unit = 1;
  for (u32 i = 0; i < digits; i++) unit *= 10;
  u64 size = magnitude(scaled);
  char buffer[40];
  char* end = buffer + sizeof buffer;
  char* begin = end;
  if (digits > 0) {
    u64 fraction = size % unit;
    for (u32 i = 0; i < digits; i++, fraction /= 10)
      *--begin = static_cast<char>('0' + fraction % 10);
    *--begin = '.';
  }
  begin = digits_before(begin, size / unit, 10);
  if (scaled < 0) *--begin = '-';
  write_padded(out, {begin, static_cast<usize>(end - begin)}, spec, '>');
}

void write_arg(Writer& out, const FormatArg& arg, Spec spec) {
  switch (arg.kind) {
    case FormatArg::Kind::kSigned:
      return write_number(out, magnitude(arg.number), arg.number < 0, spec);
    case FormatArg::Kind::kUnsigned:
      return write_number(out, arg.word, false, spec);
    case FormatArg::Kind::kPointer:
      spec.hex = spec.prefix = true;
      return write_number(out, arg.word, false, spec);
    case FormatArg::Kind::kChar: {
      char c = static_cast<char>(arg.word);
      return write_padded(out, {&c, 1}, spec, '<');
    }
    case FormatArg::Kind::kText:
      return write_padded(out, arg.text, spec, '<');
    case FormatArg::Kind::kDecimal:
      return write_decimal(out, arg.number, arg.digits, spec);
  }
}

}  // namespace

void BufferWriter::write(std::string_view text) {
  usize room = buffer_.size() - size_;
  usize part = std::min(room, text.size());
  if (part > 0) std::memcpy(buffer_.data() + size_, text.data(), part);
  size_ += part;
  truncated_ = truncated_ || part < text.size();
}

Decimal ratio(u64 value, u64 unit, u32 digits) {
  if (unit == 0) return {0, digits};
  u64 scale = 1;
  for (u32 i = 0; i < digits; i++) scale *= 10;
  u64 whole = value / unit;
  u64 rest = value % unit;
  unsigned __int128 fraction = (static_cast<unsigned __int128>(rest) * scale * 2 + unit) / 2;
  u64 part = 0;
  // Divides 128 bits without calling libgcc. `fraction / unit` fits 64 bits because rest < unit.
  for (int bit = 40; bit >= 0; bit--) {
    u64 candidate = part | (u64{1} << bit);
    if (static_cast<unsigned __int128>(candidate) * unit <= fraction) part = candidate;
  }
  return {static_cast<i64>(whole * scale + part), digits};
}

void format_args(Writer& out, std::string_view format, std::span<const FormatArg> args) {
  usize next = 0;
  while (!format.empty()) {
    usize brace = format.find_first_of("{}");
    if (brace == std::string_view::npos) return out.write(format);
    out.write(format.substr(0, brace));
    bool doubled = brace + 1 < format.size() && format[brace + 1] == format[brace];
    if (doubled || format[brace] == '}') {
      out.write(format.substr(brace, 1));
      format.remove_prefix(brace + (doubled ? 2 : 1));
      continue;
    }
    usize close = format.find('}', brace);
    if (close == std::string_view::npos) return out.write(format.substr(brace));
    std::string_view spec = format.substr(brace + 1, close - brace - 1);
    if (next < args.size()) {
      write_arg(out, args[next++], parse_spec(spec));
    } else {
      out.write("{missing}");
    }
    format.remove_prefix(close + 1);
  }
}

}  // namespace base
