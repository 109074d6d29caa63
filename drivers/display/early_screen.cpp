// SPDX-License-Identifier: GPL-2.0-or-later
// Draws a grid of ASCII in static memory as it is written, into the loader's framebuffer or as VGA
// text. Scrolling is slow, but a panic scrolls once.
#include "drivers/display/early_screen.h"

#include <font.h>

#include "kernel/dev/char_device.h"
#include "kernel/panic.h"

#include <arch/paging.h>

namespace display {
namespace {

constexpr u32 kFirst = ' ', kLast = '~';
constexpr u32 kVgaColumns = 80, kVgaRows = 25;
constexpr u16 kVgaWhite = 0x0f00;

using Glyphs = std::array<std::array<u8, kFontHeight>, kLast - kFirst + 1>;
consteval Glyphs ascii_glyphs() {
  Glyphs glyphs{};
  for (const FontCode& row : kFontCodes)
    if (row.code >= kFirst && row.code <= kLast)
      std::copy_n(kFontGlyphs[row.glyph], kFontHeight, glyphs[row.code - kFirst].begin());
  return glyphs;
}

}  // namespace

}  // namespace display

// boot.asm draws with it, too.
extern "C" {
extern const display::Glyphs early_font;
constinit const display::Glyphs early_font = display::ascii_glyphs();
}

namespace display {
namespace {

class EarlyScreen final : public CharDevice {
 public:
  void start(const Framebuffer& framebuffer, u64 text_screen);
  void stop() { on_ = false; }
  void tell(std::string_view line);
  const char* name() const override { return "early screen"; }
  void write(std::string_view text) override;
  int read() override { return -1; }

 private:
  static constexpr u32 kMostColumns = 240, kMostRows = 80;
  bool reachable() const;
  void put(char c);
  void scroll();
  void draw(u32 row, u32 column) const;

  Framebuffer pixels_;  // base == 0: text cells
  u64 cells_ = 0;
  u32 columns_ = 0, rows_ = 0, row_ = 0, column_ = 0;
  bool on_ = false;
  char grid_[kMostRows][kMostColumns] = {};
};
constinit EarlyScreen screen;

void EarlyScreen::start(const Framebuffer& framebuffer, u64 text_screen) {
  pixels_ = framebuffer;
  cells_ = text_screen;
  if (framebuffer.bits_per_pixel != 32) pixels_.base = 0;
  bool text = pixels_.base == 0;
  columns_ = text ? kVgaColumns : std::min(framebuffer.width / kFontWidth, kMostColumns);
  rows_ = text ? kVgaRows : std::min(framebuffer.height / kFontHeight, kMostRows);
  on_ = columns_ > 0 && rows_ > 0 && (!text || cells_ != 0);
}

// paging.cpp maps the screen; before that the first 4 GiB are mapped.
bool EarlyScreen::reachable() const {
  if (pixels_.base == 0) return arch::paging::is_mapped(cells_);
  return arch::paging::is_mapped(pixels_.base) &&
         arch::paging::is_mapped(pixels_.base + u64{pixels_.pitch} * pixels_.height - 1);
}

void EarlyScreen::write(std::string_view text) {
  if (!on_ || !reachable()) return;
  for (char c : text) put(c);
}

void EarlyScreen::tell(std::string_view line) {
  if (pixels_.base != 0) return;
  write(line.substr(0, columns_ - 1));
  // The firmware's text may be there still.
  while (column_ < columns_ - 1) write(" ");
  write("\n");
}

void EarlyScreen::put(char c) {
  if (c == '\r') {
    column_ = 0;
    return;
  }
  if (c == '\n' || column_ == columns_) {
    column_ = 0;
    if (row_ + 1 < rows_)
      row_++;
    else
      scroll();
  }
  if (c == '\b' && column_ > 0) column_--;
  if (static_cast<u8>(c) < kFirst || static_cast<u8>(c) > kLast) return;
  grid_[row_][column_] = c;
  draw(row_, column_++);
}

void EarlyScreen::scroll() {
  for (u32 row = 0; row < rows_; row++) {
    for (u32 column = 0; column < columns_; column++) {
      char below = row + 1 < rows_ ? grid_[row + 1][column] : '\0';
      if (grid_[row][column] == below) continue;
      grid_[row][column] = below;
      draw(row, column);
    }
  }
}

void EarlyScreen::draw(u32 row, u32 column) const {
  char c = grid_[row][column] == '\0' ? ' ' : grid_[row][column];
  if (pixels_.base == 0) {
    auto* cells = reinterpret_cast<volatile u16*>(cells_);
    cells[row * kVgaColumns + column] = static_cast<u16>(kVgaWhite | static_cast<u8>(c));
    return;
  }
  u64 at = pixels_.base + u64{row} * kFontHeight * pixels_.pitch + u64{column} * kFontWidth * 4;
  for (u8 bits : early_font[static_cast<u8>(c) - kFirst]) {
    auto* line = reinterpret_cast<volatile u32*>(at);
    for (u32 x = 0; x < kFontWidth; x++) line[x] = (bits >> (7 - x) & 1) != 0 ? ~u32{0} : 0;
    at += pixels_.pitch;
  }
}

}  // namespace

void start_early(const Framebuffer& framebuffer, u64 text_screen) {
  screen.start(framebuffer, text_screen);
  panic_add_device(screen);
}

void tell_text_screen(std::string_view line) {
  screen.tell(line);
}

void end_early() {
  screen.stop();
}

}  // namespace display
