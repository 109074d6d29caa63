// SPDX-License-Identifier: GPL-2.0-or-later
// Draws the text grid into the pixels of the loader's framebuffer.
#include "drivers/display/framebuffer.h"

#include <font.h>

#include <algorithm>

#include "drivers/display/early_screen.h"
#include "drivers/display/screen_text.h"
#include "kernel/dev/terminal.h"
#include "kernel/log.h"
#include "kernel/options.h"
#include "kernel/panic.h"
#include "kernel/time/clock.h"

#include <arch/paging.h>

namespace display {
namespace {

constexpr Option kDisplay{"display", OptionKind::kText, "on", "on|off",
                          "off: nothing is drawn, for a machine on a serial line"};
KERNEL_OPTION(kDisplay);

constexpr u32 kScrollbackRows = 2000;
// While much text is written, the screen follows at 50 frames a second and not at every line.
constexpr u64 kFrameNs = 20'000'000;

u16 glyph_of(u32 code) {
  auto row = std::lower_bound(std::begin(kFontCodes), std::end(kFontCodes), code,
                              [](const FontCode& a, u32 c) { return a.code < c; });
  if (row != std::end(kFontCodes) && row->code == code) return row->glyph;
  return code == utf8::kReplacement ? glyph_of('?') : glyph_of(utf8::kReplacement);
}

class Console final : public CharDevice {
 public:
  Result<void> start(const Framebuffer& framebuffer);
  const char* name() const override { return "screen"; }
  void write(std::string_view text) override;
  void flush() override;
  int read() override;  // a screen has no keys; the poll is when it catches up
  u32 columns() const override { return screen_->columns(); }
  u32 rows() const override { return screen_->rows(); }
  void scroll_view(i32 half_screens);

 private:
  void draw();
  Cell wanted(u32 row, u32 column) const;
  void draw_cell(u32 row, u32 column, const Cell& cell);
  u32 pixel(u8 colour) const;
  void put_pixels(Byte* at, u32 value, u32 count) const;

  Framebuffer framebuffer_;
  u32 scale_ = 1;
  base::Owner<ScreenText> screen_;
  Vector<Cell> drawn_;
  u64 drawn_ns_ = 0;
  bool behind_ = false;
  bool busy_ = false;
};

constinit Console* console = nullptr;

Result<void> Console::start(const Framebuffer& framebuffer) {
  framebuffer_ = framebuffer;
  scale_ = framebuffer.width >= 2560 ? 2 : 1;  // readable on a 4K screen
  u32 columns = framebuffer.width / (kFontWidth * scale_);
  u32 rows = framebuffer.height / (kFontHeight * scale_);
  screen_ = TRY(ScreenText::create(columns, rows, kScrollbackRows));
  TRY(drawn_.resize(usize{columns} * rows));
  for (Cell& cell : drawn_) cell.code = 0;  // nothing is drawn yet
  u64 bytes = u64{framebuffer.pitch} * framebuffer.height;
  TRY(arch::paging::map_device(framebuffer.base, bytes, arch::paging::Cache::kWriteCombining));
  draw();
  return {};
}

void Console::write(std::string_view text) {
  // The watchdog's NMI may come in the middle of this; its text then goes to other devices only.
  if (busy_ && !panic_happened()) return;
  busy_ = true;
  screen_->write(text);
  behind_ = true;
  if (timing::now_ns() - drawn_ns_ >= kFrameNs) draw();
  busy_ = false;
}

void Console::flush() {
  if (behind_) draw();
}

int Console::read() {
  flush();
  return -1;
}

void Console::scroll_view(i32 half_screens) {
  screen_->scroll_view(half_screens * static_cast<i32>(screen_->rows() / 2));
  draw();
}

Cell Console::wanted(u32 row, u32 column) const {
  Cell cell = screen_->cell(row, column);
  bool cursor =
      screen_->cursor_shown() && row == screen_->cursor_row() && column == screen_->cursor_column();
  if (cursor) cell.flags ^= kReverse;
  return cell;
}

void Console::draw() {
  behind_ = false;
  for (u32 row = 0; row < screen_->rows(); row++) {
    for (u32 column = 0; column < screen_->columns(); column++) {
      Cell cell = wanted(row, column);
      Cell& drawn = drawn_[usize{row} * screen_->columns() + column];
      if (cell == drawn) continue;
      draw_cell(row, column, cell);
      drawn = cell;
    }
  }
  drawn_ns_ = timing::now_ns();
}

u32 Console::pixel(u8 colour) const {
  u32 rgb = palette_rgb(colour);
  return (rgb >> 16 & 0xff) << framebuffer_.red_shift |
         (rgb >> 8 & 0xff) << framebuffer_.green_shift | (rgb & 0xff) << framebuffer_.blue_shift;
}

void Console::put_pixels(Byte* at, u32 value, u32 count) const {
  u32 bytes = framebuffer_.bits_per_pixel / 8u;
  for (u32 i = 0; i < count; i++, at += bytes) {
    if (bytes == 4) {
      *reinterpret_cast<volatile u32*>(at) = value;
    } else {
      for (u32 b = 0; b < 3; b++)
        reinterpret_cast<volatile u8*>(at)[b] = static_cast<u8>(value >> (8 * b));
    }
  }
}

void Console::draw_cell(u32 row, u32 column, const Cell& cell) {
  u8 ink = cell.foreground, paper = cell.background;
  if ((cell.flags & kBold) != 0 && ink < 8) ink += 8;
  if ((cell.flags & kReverse) != 0) std::swap(ink, paper);
  u32 colours[2] = {pixel(paper), pixel(ink)};
  const u8* glyph = kFontGlyphs[glyph_of(cell.code)];
  u32 bytes = framebuffer_.bits_per_pixel / 8u;
  Byte* base = reinterpret_cast<Byte*>(framebuffer_.base) +
               usize{row} * kFontHeight * scale_ * framebuffer_.pitch +
               usize{column} * kFontWidth * scale_ * bytes;
  for (u32 y = 0; y < kFontHeight; y++) {
    u8 bits = glyph[y];
    if ((cell.flags & kUnderline) != 0 && y == kFontHeight - 2) bits = 0xff;
    for (u32 copy = 0; copy < scale_; copy++, base += framebuffer_.pitch)
      for (u32 x = 0; x < kFontWidth; x++)
        put_pixels(base + usize{x} * scale_ * bytes, colours[bits >> (7 - x) & 1], scale_);
  }
}

}  // namespace

Result<void> init(const Framebuffer& framebuffer) {
  if (options::text(kDisplay) == "off")
    return fail(Errc::kNotFound, "the screen is switched off by display=off");
  if (framebuffer.base == 0) {
    tell_text_screen("Marrow: no picture in true colour; the console is on the serial line, COM1.");
    return fail(Errc::kNotFound, "no framebuffer");
  }
  bool pixels = framebuffer.bits_per_pixel == 32 || framebuffer.bits_per_pixel == 24;
  u64 line = u64{framebuffer.width} * (framebuffer.bits_per_pixel / 8u);
  if (!pixels || framebuffer.pitch < line)
    return fail(Errc::kUnsupported,
                "this pixel format is not supported: set a 24- or 32-bit mode in the loader");
  static Console device;
  TRY(device.start(framebuffer));
  TRY(terminal::add(device));
  end_early();
  panic_add_device(device);
  console = &device;
  log::info("screen", "{} x {} pixels, {} x {} characters", framebuffer.width, framebuffer.height,
            device.columns(), device.rows());
  return {};
}

void scroll_view(i32 half_screens) {
  if (console != nullptr) console->scroll_view(half_screens);
}

}  // namespace display
