// SPDX-License-Identifier: GPL-2.0-or-later
// Looks up column widths in sorted ranges, and joins single bytes into characters.
#include "kernel/base/text_width.h"

#include <algorithm>
#include <span>

namespace base {
namespace {

struct Range {
  u32 first, last;
};
constexpr Range kZeroWidth[] = {
    {0x0300, 0x036f},   {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x05bf, 0x05bf}, {0x05c1, 0x05c2},
    {0x0610, 0x061a},   {0x064b, 0x065f}, {0x0670, 0x0670}, {0x06d6, 0x06dc}, {0x06df, 0x06e4},
    {0x0900, 0x0902},   {0x093a, 0x093a}, {0x093c, 0x093c}, {0x0941, 0x0948}, {0x094d, 0x094d},
    {0x0e31, 0x0e31},   {0x0e34, 0x0e3a}, {0x0e47, 0x0e4e}, {0x200b, 0x200f}, {0x202a, 0x202e},
    {0x2060, 0x2064},   {0x20d0, 0x20f0}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff},
    {0xe0100, 0xe01ef},
};
constexpr Range kWide[] = {
    {0x1100, 0x115f},   {0x231a, 0x231b},   {0x2329, 0x232a},   {0x23e9, 0x23ec},
    {0x23f0, 0x23f0},   {0x23f3, 0x23f3},   {0x25fd, 0x25fe},   {0x2614, 0x2615},
    {0x2648, 0x2653},   {0x267f, 0x267f},   {0x2693, 0x2693},   {0x26a1, 0x26a1},
    {0x26aa, 0x26ab},   {0x26bd, 0x26be},   {0x26c4, 0x26c5},   {0x26ce, 0x26ce},
    {0x26d4, 0x26d4},   {0x26ea, 0x26ea},   {0x26f2, 0x26f3},   {0x26f5, 0x26f5},
    {0x26fa, 0x26fa},   {0x26fd, 0x26fd},   {0x2705, 0x2705},   {0x270a, 0x270b},
    {0x2728, 0x2728},   {0x274c, 0x274c},   {0x274e, 0x274e},   {0x2753, 0x2755},
    {0x2757, 0x2757},   {0x2795, 0x2797},   {0x27b0, 0x27b0},   {0x27bf, 0x27bf},
    {0x2b1b, 0x2b1c},   {0x2b50, 0x2b50},   {0x2b55, 0x2b55},   {0x2e80, 0x303e},
    {0x3041, 0x33ff},   {0x3400, 0x4dbf},   {0x4e00, 0xa4cf},   {0xa960, 0xa97f},
    {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},
    {0xffe0, 0xffe6},   {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff},
    {0x1fa70, 0x1faff}, {0x20000, 0x3fffd},
};

bool in_ranges(std::span<const Range> ranges, u32 code) {
  auto after = std::upper_bound(ranges.begin(), ranges.end(), code,
                                [](u32 c, const Range& range) { return c < range.first; });
  return after != ranges.begin() && code <= (after - 1)->last;
}

}  // namespace

u32 display_width(u32 code) {
  if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return 0;
  if (code < 0x300) return 1;
  if (in_ranges(kZeroWidth, code)) return 0;
  return in_ranges(kWide, code) ? 2 : 1;
}

u32 display_width(std::string_view text) {
  u32 columns = 0;
  while (!text.empty()) {
    utf8::Decoded c = utf8::decode(text);
    columns += display_width(c.code_point);
    text.remove_prefix(c.bytes);
  }
  return columns;
}

Utf8Assembler::Out Utf8Assembler::feed(u8 byte) {
  Out out{{0, 0}, 0};
  bytes_[size_++] = static_cast<char>(byte);
  while (size_ > 0) {
    utf8::Decoded c = utf8::decode({bytes_, size_});
    if (c.incomplete) break;
    out.codes[out.count++] = c.code_point;
    // The bytes after a broken beginning are examined again. That is at most this one byte.
    for (usize i = c.bytes; i < size_; i++) bytes_[i - c.bytes] = bytes_[i];
    size_ -= c.bytes;
  }
  return out;
}

bool Utf8Assembler::flush() {
  bool dropped = size_ > 0;
  size_ = 0;
  return dropped;
}

}  // namespace base
