// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the escape-sequence state machine and the ring of lines.
#include "drivers/display/screen_text.h"

#include <algorithm>

namespace display {

u32 palette_rgb(u8 colour) {
  static constexpr u32 kBase[16] = {0x000000, 0xcd3131, 0x0dbc79, 0xe5e510, 0x2472c8, 0xbc3fbc,
                                    0x11a8cd, 0xcccccc, 0x666666, 0xf14c4c, 0x23d18b, 0xf5f543,
                                    0x3b8eea, 0xd670d6, 0x29b8db, 0xffffff};
  if (colour < 16) return kBase[colour];
  if (colour >= 232) return (8u + (colour - 232u) * 10u) * 0x010101u;
  u32 index = colour - 16u;  // a 6 x 6 x 6 cube; its levels are 0, 95, 135, 175, 215, 255
  auto level = [](u32 i) { return i == 0 ? 0u : 55u + i * 40u; };
  return level(index / 36) << 16 | level(index / 6 % 6) << 8 | level(index % 6);
}

Result<base::Owner<ScreenText>> ScreenText::create(u32 columns, u32 rows, u32 scrollback_rows) {
  if (columns < 2 || rows < 2 || columns > 1000 || rows > 1000)
    return fail(Errc::kOutOfRange, "no usable screen size");
  auto screen = TRY(base::make<ScreenText>(columns, rows));
  screen->lines_ = rows + scrollback_rows;
  TRY(screen->cells_.resize(usize{screen->lines_} * columns));
  return screen;
}

std::span<Cell> ScreenText::line(u32 row) {
  u32 ring = (first_ + row) % lines_;
  return cells_.view().subspan(usize{ring} * columns_, columns_);
}

const Cell& ScreenText::cell(u32 row, u32 column) const {
  u32 ring = (first_ + lines_ + row - view_) % lines_;
  return cells_[usize{ring} * columns_ + column];
}

void ScreenText::scroll_view(i32 rows) {
  i64 wanted = i64{view_} + rows;
  view_ = static_cast<u32>(std::clamp(wanted, i64{0}, i64{kept_}));
}

void ScreenText::write(std::string_view bytes) {
  view_ = 0;
  for (char c : bytes) feed(static_cast<u8>(c));
}

void ScreenText::feed(u8 byte) {
  switch (state_) {
    case State::kGround:
      if (byte < 0x20 || byte == 0x7f) return control(byte);
      for (base::Utf8Assembler::Out out = utf8_.feed(byte);
           u32 code : std::span(out.codes, out.count))
        put(code);
      return;
    case State::kEscape:
      return escape(byte);
    case State::kCsi:
      if (byte < 0x20) return control(byte);  // executed inside a sequence, as terminals do
      if (byte >= 0x40 && byte <= 0x7e) {
        state_ = State::kGround;
        return run_csi(byte);
      }
      return csi_parameter(byte);
    case State::kString:
      if (byte == 0x07) state_ = State::kGround;
      if (byte == 0x1b) state_ = State::kStringEscape;
      return;
    case State::kStringEscape:
      state_ = byte == '\\' ? State::kGround : State::kString;
      return;
  }
}

void ScreenText::control(u8 byte) {
  if (utf8_.flush()) put(utf8::kReplacement);
  switch (byte) {
    case '\n':
      column_ = 0;
      return line_feed();
    case '\r':
      column_ = 0;
      return;
    case '\b':
      column_ = std::min(column_, columns_ - 1);
      column_ -= column_ > 0 ? 1 : 0;
      return;
    case '\t':
      column_ = std::min((column_ / 8 + 1) * 8, columns_ - 1);
      return;
    case 0x1b:
      state_ = State::kEscape;
      return;
    default:
      return;
  }
}

void ScreenText::escape(u8 byte) {
  state_ = State::kGround;
  switch (byte) {
    case '[':
      state_ = State::kCsi;
      std::fill(std::begin(parameters_), std::end(parameters_), 0);
      parameter_count_ = 0;
      private_ = unknown_ = false;
      return;
    case ']':
    case 'P':
    case 'X':
    case '^':
    case '_':
      state_ = State::kString;
      return;
    case '7':
      saved_row_ = row_, saved_column_ = column_;
      return;
    case '8':
      return move(saved_row_, saved_column_);
    case 'c':  // full reset
      pen_ = {};
      cursor_visible_ = true;
      erase_display(2);
      return move(0, 0);
    default:
      return;
  }
}

Cell ScreenText::blank() const {
  Cell cell;
  cell.background = pen_.background;
  return cell;
}

void ScreenText::put(u32 code) {
  if (code >= 0x80 && code < 0xa0) return;
  u32 width = base::display_width(code);
  if (width == 0) return;  // a combining mark; one cell shows one character
  if (column_ + width > columns_) {
    column_ = 0;
    line_feed();
  }
  std::span<Cell> cells = line(row_);
  Cell cell = pen_;
  cell.code = code;
  cells[column_++] = cell;
  if (width == 2) {
    cell.code = ' ';
    cell.flags |= kWideRight;
    cells[column_++] = cell;
  }
}

void ScreenText::line_feed() {
  if (row_ + 1 < rows_) {
    row_++;
    return;
  }
  first_ = (first_ + 1) % lines_;
  kept_ = std::min(kept_ + 1, lines_ - rows_);
  erase(rows_ - 1, 0, columns_);
}

void ScreenText::csi_parameter(u8 byte) {
  if (byte >= '0' && byte <= '9') {
    if (parameter_count_ == 0) parameter_count_ = 1;
    u32& value = parameters_[parameter_count_ - 1];
    value = std::min(value * 10 + (byte - '0'), u32{9999});
  } else if (byte == ';' || byte == ':') {
    parameter_count_ = std::max(parameter_count_, usize{1});
    if (parameter_count_ == kMaxParameters) {
      unknown_ = true;
    } else {
      parameter_count_++;
    }
  } else if (byte == '?') {
    private_ = true;
  } else {
    unknown_ = true;
  }
}

u32 ScreenText::parameter(usize i, u32 fallback) const {
  return i < parameter_count_ && parameters_[i] != 0 ? parameters_[i] : fallback;
}

void ScreenText::move(i64 row, i64 column) {
  row_ = static_cast<u32>(std::clamp(row, i64{0}, i64{rows_ - 1}));
  column_ = static_cast<u32>(std::clamp(column, i64{0}, i64{columns_ - 1}));
}

void ScreenText::run_csi(u8 final) {
  if (unknown_) return;
  i64 n = parameter(0, 1);
  i64 row = row_, column = std::min(column_, columns_ - 1);
  switch (final) {
    case 'A':
      return move(row - n, column);
    case 'B':
    case 'e':
      return move(row + n, column);
    case 'C':
    case 'a':
      return move(row, column + n);
    case 'D':
      return move(row, column - n);
    case 'E':
      return move(row + n, 0);
    case 'F':
      return move(row - n, 0);
    case 'G':
    case '`':
      return move(row, n - 1);
    case 'd':
      return move(n - 1, column);
    case 'H':
    case 'f':
      return move(n - 1, i64{parameter(1, 1)} - 1);
    case 'J':
      return erase_display(parameter(0, 0));
    case 'K':
      return erase_line(parameter(0, 0));
    case 'L':
    case 'M':
      return shift_lines(static_cast<u32>(n), final == 'M', row_);
    case 'S':
    case 'T':
      return shift_lines(static_cast<u32>(n), final == 'S', 0);
    case '@':
    case 'P':
      return shift_cells(static_cast<u32>(n), final == 'P');
    case 'X':
      return erase(row_, static_cast<u32>(column),
                   static_cast<u32>(std::min<i64>(column + n, columns_)));
    case 'm':
      return set_attributes();
    case 's':
      saved_row_ = row_, saved_column_ = column_;
      return;
    case 'u':
      return move(saved_row_, saved_column_);
    case 'h':
    case 'l':
      return set_mode(final == 'h');
    default:
      return;
  }
}

void ScreenText::set_mode(bool on) {
  if (!private_) return;
  for (usize i = 0; i < parameter_count_; i++)
    if (parameters_[i] == 25) cursor_visible_ = on;
}

void ScreenText::erase(u32 row, u32 from, u32 to) {
  std::span<Cell> cells = line(row);
  for (u32 i = from; i < to; i++) cells[i] = blank();
}

void ScreenText::erase_line(u32 what) {
  u32 column = std::min(column_, columns_ - 1);
  if (what == 0) erase(row_, column, columns_);
  if (what == 1) erase(row_, 0, column + 1);
  if (what == 2) erase(row_, 0, columns_);
}

void ScreenText::erase_display(u32 what) {
  if (what == 3) {
    kept_ = 0;
    return;
  }
  if (what < 2) erase_line(what);
  u32 from = what == 0 ? row_ + 1 : 0;
  u32 to = what == 1 ? row_ : rows_;
  for (u32 row = from; row < to; row++) erase(row, 0, columns_);
}

// Moves lines [from_row, rows) up or down. Lines that leave are lost.
void ScreenText::shift_lines(u32 count, bool up, u32 from_row) {
  u32 height = rows_ - from_row;
  count = std::min(count, height);
  for (u32 i = 0; i < height - count; i++) {
    u32 to = up ? from_row + i : rows_ - 1 - i;
    std::span<Cell> source = line(up ? to + count : to - count);
    std::copy(source.begin(), source.end(), line(to).begin());
  }
  for (u32 i = 0; i < count; i++) erase(up ? rows_ - 1 - i : from_row + i, 0, columns_);
}

void ScreenText::shift_cells(u32 count, bool left) {
  u32 column = std::min(column_, columns_ - 1);
  std::span<Cell> cells = line(row_).subspan(column);
  count = std::min<u32>(count, static_cast<u32>(cells.size()));
  if (left) {
    std::copy(cells.begin() + count, cells.end(), cells.begin());
    erase(row_, columns_ - count, columns_);
  } else {
    std::copy_backward(cells.begin(), cells.end() - count, cells.end());
    erase(row_, column, column + count);
  }
}

// Parses "38;5;N" or "38;2;R;G;B" at `at`: sets the colour and returns the parameters it used.
usize ScreenText::extended_colour(usize at, u8& colour) const {
  u32 kind = at + 1 < parameter_count_ ? parameters_[at + 1] : 0;
  if (kind == 5 && at + 2 < parameter_count_) {
    colour = static_cast<u8>(parameters_[at + 2]);
    return 3;
  }
  if (kind == 2 && at + 4 < parameter_count_) {
    auto step = [&](usize i) { return std::min(parameters_[at + 2 + i], u32{255}) * 6 / 256; };
    colour = static_cast<u8>(16 + step(0) * 36 + step(1) * 6 + step(2));
    return 5;
  }
  return parameter_count_ - at;
}

void ScreenText::set_attributes() {
  usize count = std::max(parameter_count_, usize{1});
  for (usize i = 0; i < count;) {
    u32 p = parameters_[i];
    usize taken = 1;
    if (p == 0) pen_ = {};
    if (p == 1) pen_.flags |= kBold;
    if (p == 4) pen_.flags |= kUnderline;
    if (p == 7) pen_.flags |= kReverse;
    if (p == 22) pen_.flags &= static_cast<u8>(~kBold);
    if (p == 24) pen_.flags &= static_cast<u8>(~kUnderline);
    if (p == 27) pen_.flags &= static_cast<u8>(~kReverse);
    if (p >= 30 && p <= 37) pen_.foreground = static_cast<u8>(p - 30);
    if (p >= 90 && p <= 97) pen_.foreground = static_cast<u8>(p - 90 + 8);
    if (p >= 40 && p <= 47) pen_.background = static_cast<u8>(p - 40);
    if (p >= 100 && p <= 107) pen_.background = static_cast<u8>(p - 100 + 8);
    if (p == 39) pen_.foreground = Cell{}.foreground;
    if (p == 49) pen_.background = Cell{}.background;
    if (p == 38) taken = extended_colour(i, pen_.foreground);
    if (p == 48) taken = extended_colour(i, pen_.background);
    i += taken;
  }
}

}  // namespace display
