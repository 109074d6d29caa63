// SPDX-License-Identifier: GPL-2.0-or-later
// Draws the edited line: composes the row as it should be, and sends only the differences.
#include <algorithm>

#include "console/terminal/line_editor.h"

namespace console {
namespace {

// U+21B5, shown for a line end in pasted text
constexpr std::string_view kNewlineSign = "\xe2\x86\xb5";

struct Glyph {
  std::string_view text;
  u32 width;
};

// Returns how a character is shown. Everything that is not a plain character has a substitute.
Glyph glyph_of(std::string_view text, usize& taken) {
  utf8::Decoded c = utf8::decode(text);
  taken = c.bytes;
  if (c.code_point == '\n') return {kNewlineSign, 1};
  if (c.code_point < 0x20) return {" ", 1};
  if (!c.valid) return {"\xef\xbf\xbd", 1};
  return {text.substr(0, c.bytes), base::display_width(c.code_point)};
}

u32 shown_width(std::string_view text) {
  u32 width = 0;
  while (!text.empty()) {
    usize taken = 0;
    width += glyph_of(text, taken).width;
    text.remove_prefix(taken);
  }
  return width;
}

// Returns the bytes, and their columns, with which `a` and `b` begin alike. Stops early enough that
// a combining mark is redrawn with its base.
usize common_start(std::string_view a, std::string_view b, u32& column) {
  usize same = 0, safe = 0;
  u32 width = 0;
  column = 0;
  while (same < a.size() && same < b.size()) {
    utf8::Decoded c = utf8::decode(a.substr(same));
    if (a.substr(same, c.bytes) != b.substr(same, c.bytes)) break;
    u32 step = base::display_width(c.code_point);
    if (step > 0) {
      safe = same;
      column = width;
    }
    same += c.bytes;
    width += step;
  }
  auto combines_at = [&](std::string_view s) {
    return same < s.size() && base::display_width(utf8::decode(s.substr(same)).code_point) == 0;
  };
  if (combines_at(a) || combines_at(b)) return safe;
  column = width;
  return same;
}

}  // namespace

// Moves the window so that it contains the cursor. It moves by half a screen, so that typing at the
// end mostly just appends.
void LineEditor::scroll_window() {
  std::string_view before = buffer_.before();
  u32 prompt = shown_width(prompt_);
  u32 room = columns_ - 1 > prompt + 8 ? columns_ - 1 - prompt : 8;
  bool left_of_it = window_ > before.size();
  if (!left_of_it && shown_width(before.substr(window_)) < room) return;
  window_ = before.size();
  for (u32 width = 0; window_ > 0 && width < room / 2;) {
    usize end = window_;
    do window_--;
    while (window_ > 0 && (static_cast<u8>(before[window_]) & 0xc0) == 0x80);
    width += shown_width(before.substr(window_, end - window_));
  }
}

Result<void> LineEditor::compose(String& row, u32& cursor) const {
  row.clear();
  cursor = 0;
  if (!searching_) return compose_line(row, cursor);
  TRY(row.append(found_ ? "(search: " : "(not found: "));
  TRY(row.append(query_.view()));
  cursor = shown_width(row.view());
  TRY(row.append(") "));
  u32 width = shown_width(row.view());
  for (std::string_view rest = buffer_.before(); !rest.empty();) {
    usize taken = 0;
    Glyph glyph = glyph_of(rest, taken);
    if (width + glyph.width >= columns_) break;
    TRY(row.append(glyph.text));
    width += glyph.width;
    rest.remove_prefix(taken);
  }
  return {};
}

Result<void> LineEditor::compose_line(String& row, u32& cursor) const {
  TRY(row.append(prompt_));
  for (std::string_view rest = buffer_.before().substr(window_); !rest.empty();) {
    usize taken = 0;
    TRY(row.append(glyph_of(rest, taken).text));
    rest.remove_prefix(taken);
  }
  u32 width = cursor = shown_width(row.view());
  for (usize i = 0; i < buffer_.after_size();) {
    char bytes[4];
    usize n = 0;
    while (n < 4 && i + n < buffer_.after_size()) bytes[n] = buffer_.after(i + n), n++;
    usize taken = 0;
    Glyph glyph = glyph_of({bytes, n}, taken);
    if (width + glyph.width >= columns_) break;
    TRY(row.append(glyph.text));
    width += glyph.width;
    i += taken;
  }
  return {};
}

void LineEditor::move_to(u32 column) {
  if (column < shown_cursor_ && shown_cursor_ - column <= 4) {
    for (; shown_cursor_ > column; shown_cursor_--) out_.write("\b");
  } else if (column < shown_cursor_) {
    out_.write("\r");
    shown_cursor_ = 0;
  }
  if (column > shown_cursor_) base::format_to(out_, "\x1b[{}C", column - shown_cursor_);
  shown_cursor_ = column;
}

void LineEditor::refresh() {
  scroll_window();
  String row;
  u32 cursor = 0;
  // Out of memory: the screen stays as it is, and the typed text is not affected.
  if (!compose(row, cursor).has_value()) return;
  u32 column = 0;
  usize same = common_start(shown_.view(), row.view(), column);
  if (same < row.size() || same < shown_.size()) {
    move_to(column);
    out_.write(row.view().substr(same));
    u32 width = shown_width(row.view());
    bool longer_before = shown_width(shown_.view()) > width;
    shown_cursor_ = width;
    if (longer_before) out_.write("\x1b[K");
  }
  move_to(cursor);
  shown_ = std::move(row);
}

void LineEditor::redraw() {
  out_.write("\r\x1b[K");
  shown_.clear();
  shown_cursor_ = 0;
  refresh();
}

void LineEditor::list_candidates(std::span<const String> list) {
  if (list.size() < 2) return;
  u32 widest = 0;
  for (const String& item : list) widest = std::max(widest, base::display_width(item.view()));
  u32 per_row = std::max(u32{1}, (columns_ - 1) / (widest + 2));
  for (usize i = 0; i < list.size(); i++) {
    out_.write(i % per_row == 0 ? "\n" : "");
    out_.write(list[i].view());
    bool last_of_row = i + 1 == list.size() || (i + 1) % per_row == 0;
    u32 fill = last_of_row ? 0 : widest + 2 - base::display_width(list[i].view());
    for (; fill > 0; fill--) out_.write(" ");
  }
  out_.write("\n");
  shown_.clear();
  shown_cursor_ = 0;
}

}  // namespace console
