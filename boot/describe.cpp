// SPDX-License-Identifier: GPL-2.0-or-later
// Writes BootInfo as text.
#include "boot/describe.h"

#include <algorithm>

namespace boot {

void describe(const BootInfo& boot, base::Writer& out) {
  constexpr std::string_view kKinds[] = {"usable", "reserved", "acpi tables", "acpi nvs", "bad"};
  const Framebuffer& f = boot.framebuffer;
  base::format_to(out, "loader {}, {} modules\n", boot.loader, boot.modules.size());
  if (f.base != 0)
    base::format_to(out,
                    "screen {} x {} at {:#x}, {} bytes a line, {} bits, red {} green {} blue {}\n",
                    f.width, f.height, f.base, f.pitch, f.bits_per_pixel, f.red_shift,
                    f.green_shift, f.blue_shift);
  for (const MemoryRange& r : boot.memory)
    base::format_to(out, "{:016x} {:>12} KiB {}\n", r.base, r.size / 1024,
                    kKinds[static_cast<usize>(r.kind)]);
}

void dump(std::span<const Byte> bytes, base::Writer& out) {
  constexpr usize kRow = 32;
  for (usize at = 0; at < bytes.size(); at += kRow) {
    base::format_to(out, "  {:04x} ", at);
    for (Byte b : bytes.subspan(at, std::min(kRow, bytes.size() - at)))
      base::format_to(out, "{:02x}", b);
    out.write("\n");
  }
}

}  // namespace boot
