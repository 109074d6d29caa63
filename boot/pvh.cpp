// SPDX-License-Identifier: GPL-2.0-or-later
// Reads hvm_start_info (Xen public/arch-x86/hvm/start_info.h, versions 0 and 1) into BootInfo.
#include "boot/pvh.h"

#include <algorithm>

namespace boot {
namespace {

constexpr u64 kTextMax = 4096;

// Returns the NUL-terminated text at a physical address; address 0 means that there is none.
Result<std::string_view> text_at(base::PhysicalView& memory, u64 address) {
  if (address == 0) return std::string_view();
  for (u64 length = 0; length < kTextMax; length++) {
    auto byte = TRY(memory.at(address + length, 1));
    if (byte[0] != 0) continue;
    auto all = TRY(memory.at(address, length + 1));
    return std::string_view(reinterpret_cast<const char*>(all.data()), length);
  }
  return fail(Errc::kCorrupt, "boot text without an end");
}

MemoryKind memory_kind(u32 e820_type) {
  switch (e820_type) {
    case 1:
      return MemoryKind::kUsable;
    case 3:
      return MemoryKind::kAcpiReclaimable;
    case 4:
      return MemoryKind::kAcpiNvs;
    case 5:
      return MemoryKind::kBad;
    default:
      return MemoryKind::kReserved;
  }
}

}  // namespace

Result<void> parse_pvh(base::PhysicalView& memory, u64 info, BootInfo& out) {
  struct StartInfo {
    u32 magic, version, flags, module_count;
    u64 modules, command_line, rsdp;
  };
  struct StartInfo1 {
    u64 memory_map;
    u32 memory_map_entries, reserved;
  };
  struct Module {
    u64 address, bytes, command_line, reserved;
  };
  struct Entry {
    u64 base, bytes;
    u32 type, reserved;
  };
  auto start = TRY(memory.read<StartInfo>(info));
  if (start.magic != kPvhMagic) return fail(Errc::kCorrupt, "PVH start info without its magic");
  out.loader = "PVH";
  out.command_line = TRY(text_at(memory, start.command_line));
  out.acpi_rsdp = start.rsdp;
  auto most = static_cast<u32>(out.modules.capacity());
  u32 count = std::min(start.module_count, most);
  out.modules_left_out = start.module_count - count;
  for (u32 i = 0; i < count; i++) {
    u64 at = TRY(base::checked_add(start.modules, i * sizeof(Module)));
    auto m = TRY(memory.read<Module>(at));
    if (m.bytes > ~m.address) return fail(Errc::kCorrupt, "a boot module wraps");
    std::string_view name = TRY(text_at(memory, m.command_line));
    ASSERT(out.modules.push_back({m.address, m.bytes, name}));
  }
  if (start.version == 0) return fail(Errc::kUnsupported, "PVH start info without a memory map");
  u64 rest = TRY(base::checked_add(info, sizeof start));
  auto map = TRY(memory.read<StartInfo1>(rest));
  for (u32 i = 0; i < map.memory_map_entries; i++) {
    u64 at = TRY(base::checked_add(map.memory_map, u64{i} * sizeof(Entry)));
    auto e = TRY(memory.read<Entry>(at));
    if (e.bytes > ~e.base) return fail(Errc::kCorrupt, "a memory range wraps");
    if (e.bytes == 0) continue;
    if (!out.memory.push_back({e.base, e.bytes, memory_kind(e.type)}))
      return fail(Errc::kFull, "the memory map has more than 512 ranges");
  }
  return {};
}

}  // namespace boot
