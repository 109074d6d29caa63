// SPDX-License-Identifier: GPL-2.0-or-later
// Boot information of either loader, as arbitrary bytes.
#include "boot/multiboot2.h"

#include "boot/pvh.h"

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  static BootInfo info;
  info = {};
  // If a parser accepts the input, the result must be usable: ranges that do not wrap, text inside
  // the input.
  if (boot::parse_multiboot2({data, size}, info).has_value()) {
    for (const MemoryRange& range : info.memory) ASSERT(range.size <= ~range.base);
    for (const BootModule& module : info.modules) ASSERT(module.command_line.size() <= size);
  }
  info = {};
  constexpr u64 kBase = 0x1000;
  base::BufferView memory(kBase, {data, size});
  if (boot::parse_pvh(memory, kBase, info).has_value())
    for (const MemoryRange& range : info.memory) ASSERT(range.size <= ~range.base);
  return 0;
}
