// SPDX-License-Identifier: GPL-2.0-or-later
// Maps interrupts to vectors, and messages to interrupts: by an ITS, else by a frame that raises
// shared lines (GICv2m, ARM DEN 0029, appendix on the v2m frame).
#include <arch/interrupts.h>

#include <arch/paging.h>
#include <arch/registers.h>

#include "arch/aarch64/gic.h"
#include "arch/aarch64/gic_v3.h"
#include "arch/aarch64/its.h"
#include "arch/aarch64/platform.h"

namespace arch {
namespace {

constinit u8 vectors[gic::kFirstSpecial] = {};  // by line; 0 = the line is free

// Registers of a frame: one tells its lines, and devices write to the other.
constexpr u64 kFrameType = 0x08, kFrameRaise = 0x40;

constinit u16 line_of_vector[256] = {};  // in a frame; a vector keeps its line

struct FrameLines {
  u32 first, count;
};
FrameLines lines_of(const boot::MessageUnit& frame) {
  if (frame.lines != 0) return {frame.first_line, frame.lines};
  u32 type = read_device<u32>(frame.base + kFrameType);
  return {type >> 16 & 0x3ff, type & 0x3ff};
}

Result<interrupts::Message> message_by_frame(const boot::MessageUnit& frame, u32 vector) {
  TRY(paging::map_device(frame.base, paging::kPageBytes));
  auto [first, count] = lines_of(frame);
  u32 line = line_of_vector[vector];
  for (u32 i = 0; line == 0 && i < count && first + i < gic::line_count(); i++)
    if (vectors[first + i] == 0) line = first + i;
  if (line == 0) return fail(Errc::kFull, "the frame's lines are all in use");
  line_of_vector[vector] = static_cast<u16>(line);
  TRY(interrupts::route_line(line, {.vector = vector}));
  return interrupts::Message{frame.base + kFrameRaise, line};
}

const boot::MessageUnit* find(std::span<const boot::MessageUnit> units, u32 id) {
  for (const boot::MessageUnit& unit : units)
    if (unit.id == id) return &unit;
  return nullptr;
}

// The unit that receives a device's messages, and the device's number there, as its PCI host says.
struct Path {
  u32 unit, device;
};
Result<Path> path_of(const pci_config::Function& f) {
  u32 own = u32{f.bus} << 8 | u32{f.device} << 3 | f.function;
  for (const boot::PciHost& host : hardware().pci_hosts) {
    if (host.segment != f.segment || f.bus < host.first_bus || f.bus > host.last_bus) continue;
    u32 masked = own & host.requester_mask;
    for (const boot::RequesterRow& row : host.requesters)
      if (masked >= row.first && masked - row.first < row.count)
        return Path{row.unit, masked - row.first + row.output};
  }
  return fail(Errc::kNotFound, "the firmware names no unit for this device's messages");
}

}  // namespace

u32 gic::vector_of(u32 number) {
  if (number >= kFirstMessage) return number - kFirstMessage;
  return number < kFirstSpecial ? vectors[number] : 0;
}

namespace interrupts {

Result<Message> message(u32 vector, const pci_config::Function& device) {
  const boot::Gic& gic = hardware().gic;
  Path path = TRY(path_of(device));
  if (const boot::MessageUnit* unit = find(gic.its.view(), path.unit); unit != nullptr)
    return its::message(unit->base, path.device, vector, gic::boot_redistributor());
  if (const boot::MessageUnit* frame = find(gic.frames.view(), path.unit); frame != nullptr)
    return message_by_frame(*frame, vector);
  return fail(Errc::kUnsupported, "this machine has no unit for messages of devices");
}

Result<void> route_line(u32 line, Route route) {
  if (line < gic::kFirstShared || line >= gic::kFirstSpecial || line >= gic::line_count())
    return fail(Errc::kNotFound, "no interrupt controller has this line");
  gic::set_edge(line, !route.level);
  vectors[line] = static_cast<u8>(route.vector);
  gic::enable(line);
  return {};
}

void mask_line(u32 line) {
  gic::disable(line);
}

}  // namespace interrupts
}  // namespace arch
