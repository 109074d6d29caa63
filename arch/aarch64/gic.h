// SPDX-License-Identifier: GPL-2.0-or-later
// Drives the interrupt controller. The version that the machine has decides which of two drivers is
// in use: GICv2 (ARM IHI 0048) or GICv3 and later (IHI 0069).
#pragma once

#include "boot/hardware.h"
#include "kernel/base/result.h"

namespace arch::gic {

// Interrupts 0 to 15 go from CPU to CPU, and 16 to 31 are a CPU's own. Those from 32 on are the
// devices', and those from 8192 on are messages.
constexpr u32 kFirstShared = 32, kFirstSpecial = 1020, kFirstMessage = 8192;
constexpr u32 kMessage = 1;  // the only one from CPU to CPU; smp.cpp keeps its meaning

struct Driver {
  const char* name;
  void (*init)(const boot::Gic& gic);  // sets up the distributor, all masked. CPU 0, once
  void (*init_cpu)();                  // of the calling CPU
  u32 (*acknowledge)();
  void (*end)(u32 number);
  void (*send)(u32 cpu, u64 affinity);  // sends kMessage
  u64 (*bank)(u32 number);              // the frame whose registers hold `number`
  void (*settle)(u32 number);           // waits until a mask in that frame is in force
};
extern const Driver kVersion2, kVersion3;

void init();
void init_cpu();  // opens the calling CPU's part, with its timer's interrupt
// Returns the interrupt that has come. A number from kFirstSpecial to below kFirstMessage means
// none.
u32 acknowledge();
void end(u32 number);
void send(u32 cpu, u64 affinity);

void enable(u32 number);  // on the calling CPU if it is below kFirstShared
void disable(u32 number);
void set_edge(u32 number, bool edge);
u32 line_count();  // one more than the highest shared number

const char* name();

// Returns the vector that an interrupt leads to, or 0.
u32 vector_of(u32 number);

// Registers of the distributor that both versions have.
constexpr u64 kControl = 0x000, kType = 0x004, kGroup = 0x080, kEnable = 0x100, kDisable = 0x180,
              kPriority = 0x400, kTargets = 0x800, kConfiguration = 0xc00, kSoftware = 0xf00;
constexpr u8 kUsualPriority = 0xa0;

}  // namespace arch::gic
