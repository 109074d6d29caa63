// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes to the text screen and the scan-code decoder: cells and cursor stay in their bounds.
#include "drivers/display/screen_text.h"
#include "drivers/input/scancode.h"

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  if (size < 2) return 0;
  u32 columns = 2 + data[0] % 40, rows = 2 + data[1] % 10;
  auto screen = std::move(display::ScreenText::create(columns, rows, data[0] % 7).value());
  input::ScancodeDecoder set1(input::ScancodeSet::kSet1), set2(input::ScancodeSet::kSet2);
  for (usize i = 2; i < size; i++) {
    char c = static_cast<char>(data[i]);
    screen->write({&c, 1});
    if (data[i] == 0xf9) screen->scroll_view(static_cast<i8>(data[i - 1]));
    ASSERT(screen->cursor_column() < columns);
    ASSERT(!screen->cursor_shown() || screen->cursor_row() < rows);
    set1.feed(data[i]);
    set2.feed(data[i]);
  }
  for (u32 r = 0; r < rows; r++)
    for (u32 c = 0; c < columns; c++) ASSERT(screen->cell(r, c).code <= 0x10ffff);
  return 0;
}
