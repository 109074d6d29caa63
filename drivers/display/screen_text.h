// SPDX-License-Identifier: GPL-2.0-or-later
// A terminal's screen as a grid of cells: UTF-8, colours and cursor control (ECMA-48 and xterm's
// common subset). Lines that scroll away are kept. Pure; framebuffer.cpp draws.
#pragma once

#include "kernel/base/containers.h"
#include "kernel/base/text_width.h"

namespace display {

enum CellFlag : u8 {
  kBold = 1,
  kUnderline = 2,
  kReverse = 4,
  kWideRight = 8,  // the second column of a wide character
};

struct Cell {
  u32 code = ' ';
  u8 foreground = 7, background = 0;  // xterm's 256 colours
  u8 flags = 0;
  u8 unused = 0;
  bool operator==(const Cell&) const = default;
};

// Returns 0xRRGGBB of one of xterm's 256 colours.
u32 palette_rgb(u8 colour);

class ScreenText {
 public:
  // Allocates everything it will ever need.
  static Result<base::Owner<ScreenText>> create(u32 columns, u32 rows, u32 scrollback_rows);
  explicit ScreenText(u32 columns, u32 rows) : columns_(columns), rows_(rows) {}

  void write(std::string_view bytes);  // also returns to the newest lines

  u32 columns() const { return columns_; }
  u32 rows() const { return rows_; }
  // Returns a cell that is visible, with older lines if the view is scrolled back.
  const Cell& cell(u32 row, u32 column) const;
  // Returns true if the cursor is visible at (row, column) of the view.
  bool cursor_shown() const { return cursor_visible_ && view_ + row_ < rows_; }
  u32 cursor_row() const { return row_ + view_; }
  u32 cursor_column() const { return column_ < columns_ ? column_ : columns_ - 1; }

  // Positive numbers scroll towards older lines.
  void scroll_view(i32 rows);

 private:
  enum class State : u8 { kGround, kEscape, kCsi, kString, kStringEscape };
  static constexpr usize kMaxParameters = 16;

  void feed(u8 byte);
  void control(u8 byte);
  void escape(u8 byte);
  void put(u32 code);
  void line_feed();
  void run_csi(u8 final);
  void csi_parameter(u8 byte);
  void move(i64 row, i64 column);
  void erase_display(u32 what);
  void erase_line(u32 what);
  void erase(u32 row, u32 from, u32 to);
  void shift_lines(u32 count, bool up, u32 from_row);
  void shift_cells(u32 count, bool left);
  void set_mode(bool on);
  void set_attributes();
  usize extended_colour(usize at, u8& colour) const;
  u32 parameter(usize i, u32 fallback) const;
  std::span<Cell> line(u32 row);
  Cell blank() const;

  u32 columns_, rows_;
  Vector<Cell> cells_;        // (lines, columns), a ring of lines
  u32 lines_ = 0;             // in the ring
  u32 first_ = 0;             // the ring's line of screen row 0
  u32 kept_ = 0;              // lines above the screen with contents
  u32 view_ = 0;              // lines scrolled back
  u32 row_ = 0, column_ = 0;  // column_ == columns_: the next character wraps
  u32 saved_row_ = 0, saved_column_ = 0;
  bool cursor_visible_ = true;
  Cell pen_;
  State state_ = State::kGround;
  base::Utf8Assembler utf8_;
  u32 parameters_[kMaxParameters] = {};
  usize parameter_count_ = 0;
  bool private_ = false;
  bool unknown_ = false;  // intermediate bytes: an unknown sequence
};

}  // namespace display
