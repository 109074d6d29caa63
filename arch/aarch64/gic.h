// SPDX-License-Identifier: GPL-2.0-or-later
// The interrupt controller. One of two drivers is in use, by the version that the machine has:
// GICv2 (ARM IHI 0048) or GICv3 and later (IHI 0069).
#pragma once

#include "boot/hardware.h"
#include "kernel/base/result.h"

namespace arch::gic {

// Numbers of interrupts: 0 to 15 from CPU to CPU, up to 31 a CPU's own, then the devices', and from
// 8192 on messages.
constexpr u32 kFirstShared = 32, kFirstSpecial = 1020, kFirstMessage = 8192;
constexpr u32 kMessage = 1;  // from CPU to CPU: one number suffices, smp.cpp knows what it means

struct Driver {
  const char* name;
  void (*init)(const boot::Gic& gic);  // the distributor, everything masked. CPU 0, once
  void (*init_cpu)();                  // of the calling CPU
  u32 (*acknowledge)();
  void (*end)(u32 number);
  void (*send)(u32 cpu, u64 affinity);  // kMessage, and what was written before it
  u64 (*bank)(u32 number);              // whose enable and configuration registers hold it
};
extern const Driver kVersion2, kVersion3;

void init();
void init_cpu();  // opens the calling CPU's part, with its timer's interrupt
// Returns the interrupt that has come; kFirstSpecial and above mean none.
u32 acknowledge();
void end(u32 number);
void send(u32 cpu, u64 affinity);

void enable(u32 number);  // of the calling CPU when below kFirstShared
void disable(u32 number);
void set_edge(u32 number, bool edge);
u32 line_count();  // one more than the highest shared number

const char* name();

// The vector that an interrupt leads to, 0 = none.
u32 vector_of(u32 number);

// Registers of the distributor that both versions have.
constexpr u64 kControl = 0x000, kType = 0x004, kGroup = 0x080, kEnable = 0x100, kDisable = 0x180,
              kPriority = 0x400, kTargets = 0x800, kConfiguration = 0xc00, kSoftware = 0xf00;
constexpr u8 kUsualPriority = 0xa0;

}  // namespace arch::gic
