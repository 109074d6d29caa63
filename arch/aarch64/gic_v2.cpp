// SPDX-License-Identifier: GPL-2.0-or-later
// Drives a GICv2. Its distributor and CPU interface lie in memory and serve at most eight CPUs. ARM
// IHI 0048B, chapter 4.
#include <arch/cpu.h>
#include <arch/paging.h>
#include <arch/registers.h>

#include "arch/aarch64/gic.h"
#include "arch/aarch64/platform.h"

namespace arch::gic {
namespace {

// Registers of the CPU interface.
constexpr u64 kInterfaceControl = 0x00, kMask = 0x04, kAcknowledge = 0x0c, kEnd = 0x10;

constinit u64 cpu_interface = 0;
constinit u8 cpu_mask[8] = {};  // by CPU index: the CPU's bit in the distributor

void v2_init(const boot::Gic& gic) {
  constexpr u64 kInterfaceBytes = 8 * kKiB;
  cpu_interface = gic.cpu_interface;
  MUST(paging::map_device(cpu_interface, kInterfaceBytes));
  u64 d = gic.distributor;
  write_device<u32>(d + kControl, 0);
  // The first word of targets is banked and holds the calling CPU's own bit.
  u32 own = read_device<u32>(d + kTargets) & 0xff;
  for (u32 i = kFirstShared; i < line_count(); i += 32)
    write_device<u32>(d + kDisable + i / 8, ~u32{0});
  for (u32 i = kFirstShared; i < line_count(); i += 4) {
    write_device<u32>(d + kPriority + i, kUsualPriority * 0x01010101u);
    write_device<u32>(d + kTargets + i, own * 0x01010101u);
  }
  write_device<u32>(d + kControl, 1);
}

void v2_init_cpu() {
  u64 d = hardware().gic.distributor;
  u32 cpu = Cpu::cpu_index();
  if (cpu < std::size(cpu_mask)) cpu_mask[cpu] = static_cast<u8>(read_device<u32>(d + kTargets));
  write_device<u32>(d + kDisable, ~u32{0xffff});
  write_device<u32>(d + kEnable, 0xffff);  // the messages between CPUs
  for (u32 i = 0; i < kFirstShared; i += 4)
    write_device<u32>(d + kPriority + i, kUsualPriority * 0x01010101u);
  write_device<u32>(cpu_interface + kMask, 0xff);
  write_device<u32>(cpu_interface + kInterfaceControl, 1);
}

// The number of a message carries its sender, which must be named again to end it.
constinit u32 sender_bits[8] = {};

u32 v2_acknowledge() {
  u32 word = read_device<u32>(cpu_interface + kAcknowledge);
  u32 cpu = Cpu::cpu_index();
  if (cpu < std::size(sender_bits)) sender_bits[cpu] = word & 0x1c00;
  return word & 0x3ff;
}

void v2_end(u32 number) {
  u32 cpu = Cpu::cpu_index();
  u32 sender = number < 16 && cpu < std::size(sender_bits) ? sender_bits[cpu] : 0;
  write_device<u32>(cpu_interface + kEnd, number | sender);
}

void v2_send(u32 cpu, u64) {
  if (cpu < std::size(cpu_mask))
    write_device<u32>(hardware().gic.distributor + kSoftware, u32{cpu_mask[cpu]} << 16 | kMessage);
}

u64 v2_bank(u32) {
  return hardware().gic.distributor;
}

void v2_settle(u32) {}  // a mask is in force when it has been written

}  // namespace

constinit const Driver kVersion2{"GICv2", v2_init, v2_init_cpu, v2_acknowledge,
                                 v2_end,  v2_send, v2_bank,     v2_settle};

}  // namespace arch::gic
