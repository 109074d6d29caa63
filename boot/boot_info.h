// SPDX-License-Identifier: GPL-2.0-or-later
// The loader's information, in the only form that the kernel knows. Every front end (multiboot2,
// PVH, FDT, the hosted twin) fills one of these. Addresses are physical; memory is identity-mapped,
// so they are also pointers.
#pragma once

#include <string_view>

#include "kernel/base/containers.h"

enum class MemoryKind : u8 { kUsable, kReserved, kAcpiReclaimable, kAcpiNvs, kBad };

struct MemoryRange {
  u64 base;  // bytes
  u64 size;  // bytes
  MemoryKind kind;
};

// A file that the loader put into memory: a GGUF, /marrow.cfg, a disk image.
struct BootModule {
  u64 base;
  u64 size;
  std::string_view command_line;  // by convention, its path on the boot medium
};

struct Framebuffer {
  u64 base = 0;  // 0 = none
  u32 width = 0, height = 0;
  u32 pitch = 0;  // bytes per line
  u8 bits_per_pixel = 0;
  u8 red_shift = 16, green_shift = 8, blue_shift = 0;
};

// Real firmware lists some 200 ranges at most, and a person names a few files.
constexpr u32 kMostMemoryRanges = 512, kMostBootModules = 64;

struct BootInfo {
  // why the loader's information could not be read; nothing else is then known
  const char* problem = nullptr;
  const char* loader = "unknown";
  std::string_view command_line;
  StaticVector<MemoryRange, kMostMemoryRanges> memory;
  StaticVector<BootModule, kMostBootModules> modules;
  u32 modules_left_out = 0;  // by the loader's count; their memory is used for other things
  Framebuffer framebuffer;
  u64 acpi_rsdp = 0;    // 0 = not given: the ACPI code searches
  u64 device_tree = 0;  // 0 = absent
  u64 entry_ticks = 0;  // the cycle counter at the first instruction
};
