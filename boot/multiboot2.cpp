// SPDX-License-Identifier: GPL-2.0-or-later
// Reads multiboot2 tags into BootInfo. Multiboot2 Specification 2.0, section 3.6.
#include "boot/multiboot2.h"

#include "kernel/base/bytes.h"

namespace boot {
namespace {

using Bytes = std::span<const Byte>;

// Returns the start of a tag's payload, which has a fixed size.
template <class T>
Result<T> head(Bytes payload) {
  return base::ByteReader(payload).read<T>();
}

// Returns the text that ends at its NUL or, without one, at the end of the tag.
std::string_view text(Bytes bytes) {
  std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return all.substr(0, all.find('\0'));
}

Result<void> command_line(Bytes payload, BootInfo& out) {
  out.command_line = text(payload);
  return {};
}

Result<void> loader_name(Bytes payload, BootInfo& out) {
  // The specification promises a NUL. Without one the name is no C string and is left out.
  if (text(payload).size() < payload.size())
    out.loader = reinterpret_cast<const char*>(payload.data());
  return {};
}

Result<void> module(Bytes payload, BootInfo& out) {
  struct Module {
    u32 start, end;
  };
  auto m = TRY(head<Module>(payload));
  if (m.end < m.start) return fail(Errc::kCorrupt, "a boot module ends before it starts");
  if (!out.modules.push_back({m.start, m.end - m.start, text(payload.subspan(sizeof m))}))
    out.modules_left_out++;
  return {};
}

MemoryKind memory_kind(u32 type) {
  constexpr MemoryKind kKinds[] = {MemoryKind::kReserved, MemoryKind::kUsable,
                                   MemoryKind::kReserved, MemoryKind::kAcpiReclaimable,
                                   MemoryKind::kAcpiNvs,  MemoryKind::kBad};
  return type < std::size(kKinds) ? kKinds[type] : MemoryKind::kReserved;
}

Result<void> memory_map(Bytes payload, BootInfo& out) {
  struct Head {
    u32 entry_bytes, version;
  };
  struct Entry {
    u64 base, bytes;
    u32 type, reserved;
  };
  auto h = TRY(head<Head>(payload));
  if (h.entry_bytes < sizeof(Entry)) return fail(Errc::kCorrupt, "memory map entries too short");
  out.memory.clear();
  Bytes rest = payload.subspan(sizeof h);
  for (; rest.size() >= h.entry_bytes; rest = rest.subspan(h.entry_bytes)) {
    auto e = TRY(head<Entry>(rest));
    if (e.bytes > ~e.base) return fail(Errc::kCorrupt, "a memory range wraps");
    if (e.bytes == 0) continue;
    if (!out.memory.push_back({e.base, e.bytes, memory_kind(e.type)}))
      return fail(Errc::kFull, "the memory map has more than 512 ranges");
  }
  return {};
}

Result<void> framebuffer(Bytes payload, BootInfo& out) {
  struct [[gnu::packed]] Tag {
    u64 address;
    u32 pitch, width, height;
    u8 bits_per_pixel, type;
    u16 reserved;
  };
  struct Colors {
    u8 red_shift, red_bits, green_shift, green_bits, blue_shift, blue_bits;
  };
  auto t = TRY(head<Tag>(payload));
  if (t.type != 1) return {};  // palette or text mode, on which the display driver cannot draw
  auto c = TRY(head<Colors>(payload.subspan(sizeof t)));
  if (t.bits_per_pixel != 32 && t.bits_per_pixel != 24 && t.bits_per_pixel != 16) return {};
  if (t.width == 0 || t.height == 0 || t.pitch / (t.bits_per_pixel / 8u) < t.width)
    return fail(Errc::kCorrupt, "framebuffer lines are shorter than its width");
  if (u64{t.pitch} * t.height > ~t.address)
    return fail(Errc::kCorrupt, "the framebuffer wraps around the address space");
  if (c.red_shift >= t.bits_per_pixel || c.green_shift >= t.bits_per_pixel ||
      c.blue_shift >= t.bits_per_pixel)
    return fail(Errc::kCorrupt, "a framebuffer colour lies outside its pixel");
  out.framebuffer = {.base = t.address,
                     .width = t.width,
                     .height = t.height,
                     .pitch = t.pitch,
                     .bits_per_pixel = t.bits_per_pixel,
                     .red_shift = c.red_shift,
                     .green_shift = c.green_shift,
                     .blue_shift = c.blue_shift};
  return {};
}

// Takes a copy of the RSDP; the copy's address serves as the RSDP's.
Result<void> acpi(Bytes payload, BootInfo& out) {
  out.acpi_rsdp = reinterpret_cast<u64>(payload.data());
  return {};
}

struct TagKind {
  u32 type;
  Result<void> (*read)(Bytes payload, BootInfo& out);
};
// 14 is the ACPI 1.0 copy. 15 is the later one, which loaders put after it, so it replaces the
// first.
constexpr TagKind kTags[] = {{1, command_line}, {2, loader_name}, {3, module}, {6, memory_map},
                             {8, framebuffer},  {14, acpi},       {15, acpi}};

}  // namespace

Result<void> parse_multiboot2(Bytes info, BootInfo& out) {
  struct Header {
    u32 bytes, reserved;
  };
  struct Tag {
    u32 type, bytes;
  };
  auto header = TRY(head<Header>(info));
  if (header.bytes < sizeof header) return fail(Errc::kCorrupt, "boot information too short");
  info = TRY(base::slice(info, 0, header.bytes));
  u64 at = sizeof header;
  while (at < info.size()) {
    auto tag = TRY(head<Tag>(info.subspan(at)));
    if (tag.bytes < sizeof tag) return fail(Errc::kCorrupt, "a boot tag is shorter than its head");
    Bytes payload = TRY(base::slice(info, at + sizeof tag, tag.bytes - sizeof tag));
    if (tag.type == 0) return {};
    for (const TagKind& kind : kTags)
      if (kind.type == tag.type) TRY(kind.read(payload, out));
    at += base::round_up(tag.bytes, 8);
  }
  return fail(Errc::kCorrupt, "boot information without its end tag");
}

}  // namespace boot
