// SPDX-License-Identifier: GPL-2.0-or-later
// Implementation of the loader's words as text.
#include "boot/describe.h"

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

}  // namespace boot
