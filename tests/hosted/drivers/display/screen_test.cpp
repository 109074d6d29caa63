// SPDX-License-Identifier: GPL-2.0-or-later
// The text screen: what escape sequences do to its cells, scrolling and scrollback.
#include <string>

#include "drivers/display/screen_text.h"
#include "kernel/base/test.h"

namespace {

using display::ScreenText;

base::Owner<ScreenText> screen(u32 columns = 10, u32 rows = 3, u32 scrollback = 5) {
  return std::move(ScreenText::create(columns, rows, scrollback).value());
}

std::string row_text(const ScreenText& s, u32 row) {
  std::string text;
  for (u32 c = 0; c < s.columns(); c++) {
    char bytes[4];
    text.append(bytes, utf8::encode(s.cell(row, c).code, bytes));
  }
  while (text.ends_with(' ')) text.pop_back();
  return text;
}

}  // namespace

TEST(display_screen, text_wraps_and_scrolls) {
  auto s = screen();
  s->write("0123456789ab\nx\ny\nz");
  EXPECT_EQ(row_text(*s, 0), std::string("x"));
  EXPECT_EQ(row_text(*s, 2), std::string("z"));
  s->scroll_view(2);
  EXPECT_EQ(row_text(*s, 0), std::string("0123456789"));
  EXPECT_EQ(row_text(*s, 1), std::string("ab"));
  s->scroll_view(100);
  EXPECT_EQ(row_text(*s, 0), std::string("0123456789"));
  EXPECT(!s->cursor_shown());
  s->write("!");  // output returns to the present
  EXPECT_EQ(row_text(*s, 2), std::string("z!"));
}

TEST(display_screen, a_full_line_wraps_only_with_the_next_character) {
  auto s = screen();
  s->write("0123456789\rX");
  EXPECT_EQ(row_text(*s, 0), std::string("X123456789"));
  s->write("\x1b[1;10HY\x1b[K");
  EXPECT_EQ(row_text(*s, 0), std::string("X12345678"));
}

TEST(display_screen, cursor_control) {
  auto s = screen();
  s->write("abc\x1b[2;3Hx\x1b[Ay\x1b[2Dz\x1b[B\x1b[5Gw");
  EXPECT_EQ(row_text(*s, 0), std::string("abzy"));
  EXPECT_EQ(row_text(*s, 1), std::string("  x w"));
  s->write("\x1b[999;999H");
  EXPECT_EQ(s->cursor_row(), 2u);
  EXPECT_EQ(s->cursor_column(), 9u);
  s->write("\x1b[?25l");
  EXPECT(!s->cursor_shown());
  s->write("\x1b[s\x1b[Hq\x1b[u");
  EXPECT_EQ(s->cursor_column(), 9u);
  s->write("\ta\b\bb");
  EXPECT(s->cursor_column() < 10);
}

TEST(display_screen, erasing_inserting_deleting) {
  auto s = screen();
  s->write("abcdef\x1b[1;3H\x1b[2P");
  EXPECT_EQ(row_text(*s, 0), std::string("abef"));
  s->write("\x1b[2@");
  EXPECT_EQ(row_text(*s, 0), std::string("ab  ef"));
  s->write("\x1b[1K");
  EXPECT_EQ(row_text(*s, 0), std::string("    ef"));
  s->write("\nsecond\nthird\x1b[2;1H\x1b[M");
  EXPECT_EQ(row_text(*s, 1), std::string("third"));
  s->write("\x1b[L");
  EXPECT_EQ(row_text(*s, 1), std::string(""));
  EXPECT_EQ(row_text(*s, 2), std::string("third"));
  s->write("\x1b[2J");
  EXPECT_EQ(row_text(*s, 2), std::string(""));
}

TEST(display_screen, colours) {
  auto s = screen();
  s->write("\x1b[1;31;44ma\x1b[0mb\x1b[38;5;200mc\x1b[48;2;255;0;0md\x1b[7;92me\x1b[39;49;27mf");
  EXPECT_EQ(s->cell(0, 0).foreground, 1);
  EXPECT_EQ(s->cell(0, 0).background, 4);
  EXPECT_EQ(s->cell(0, 0).flags, display::kBold);
  EXPECT(s->cell(0, 1) == (display::Cell{'b'}));
  EXPECT_EQ(s->cell(0, 2).foreground, 200);
  EXPECT_EQ(s->cell(0, 3).background, 196);
  EXPECT_EQ(s->cell(0, 4).foreground, 10);
  EXPECT(s->cell(0, 5) == (display::Cell{'f'}));
  EXPECT_EQ(display::palette_rgb(196), 0xff0000u);
  EXPECT_EQ(display::palette_rgb(231), 0xffffffu);
  EXPECT_EQ(display::palette_rgb(232), 0x080808u);
}

TEST(display_screen, utf8_wide_and_broken) {
  auto s = screen();
  s->write("ä日e\xcc\x81\xff.");
  EXPECT_EQ(s->cell(0, 0).code, u32{0xe4});
  EXPECT_EQ(s->cell(0, 1).code, u32{0x65e5});
  EXPECT_EQ(s->cell(0, 2).flags, display::kWideRight);
  EXPECT_EQ(s->cell(0, 3).code, u32{'e'});
  EXPECT_EQ(s->cell(0, 4).code, utf8::kReplacement);
  EXPECT_EQ(s->cell(0, 5).code, u32{'.'});
  s->write("\r\n123456789日");  // does not fit the last column: the whole of it wraps
  EXPECT_EQ(s->cell(2, 0).code, u32{0x65e5});
}

TEST(display_screen, unknown_sequences_leave_no_trace) {
  auto s = screen();
  s->write(
      "a\x1b[?2004h\x1b]0;title\x07\x1bP1$r\x1b\\\x1b[>4;2m\x1b(B"
      "b");
  EXPECT(row_text(*s, 0).starts_with("a"));
  s->write("\x1b[1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18;19m\x1b[99999999999999A!");
  EXPECT_EQ(s->cursor_row(), 0u);
  EXPECT(!ScreenText::create(0, 10, 10).has_value());
}
