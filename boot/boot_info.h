// SPDX-License-Identifier: GPL-2.0-or-later
// The loader's information, in the only form that the kernel knows. Every front end (multiboot2,
// PVH, FDT, the hosted twin) fills one of these. Addresses are physical; memory is identity-mapped,
// so they are also pointers.
#pragma once

#include <span>
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

// The serial port that the firmware names, where the machine has no fixed one.
struct BootConsole {
  enum class Kind : u8 { kNone, kPl011, kUart16550 };
  Kind kind = Kind::kNone;
  u64 base = 0;
  u32 stride = 1;  // bytes from one register of a 16550 to the next
  u32 width = 1;   // bytes of an access to one
  u32 line = 0;    // its line at the interrupt controller; 0 = none: it is polled
};

struct BootInfo {
  // why the boot cannot go on: what the loader told is unreadable, or the CPU is of no use
  const char* problem = nullptr;
  const char* loader = "unknown";
  std::string_view command_line;
  StaticVector<MemoryRange, kMostMemoryRanges> memory;
  StaticVector<BootModule, kMostBootModules> modules;
  u32 modules_left_out = 0;  // by the loader's count; their memory is used for other things
  Framebuffer framebuffer;
  u64 text_screen = 0;  // VGA's 80 x 25 cells, used where there is no framebuffer; 0 = none
  BootConsole console;
  std::span<const Byte> random_seed;  // of the loader's; empty = none
  u64 acpi_rsdp = 0;                  // 0 = not given: a PC then searches
  u64 device_tree = 0;                // 0 = absent
  u64 entry_ticks = 0;                // the cycle counter at the first instruction
};
