// SPDX-License-Identifier: GPL-2.0-or-later
// Drives GICv3 and GICv4 by system registers and one redistributor for each CPU. ARM IHI 0069,
// chapter 12.
#include "arch/aarch64/gic_v3.h"

#include <arch/cpu.h>
#include <arch/paging.h>
#include <arch/registers.h>

#include "arch/aarch64/gic.h"
#include "arch/aarch64/platform.h"
#include "arch/aarch64/smp.h"
#include "kernel/log.h"

// System registers by their encoding, because assemblers know the names only for CPUs that must
// have them.
#define ICC_PMR "S3_0_C4_C6_0"
#define ICC_IAR1 "S3_0_C12_C12_0"
#define ICC_EOIR1 "S3_0_C12_C12_1"
#define ICC_BPR1 "S3_0_C12_C12_3"
#define ICC_CTLR "S3_0_C12_C12_4"
#define ICC_SRE "S3_0_C12_C12_5"
#define ICC_IGRPEN1 "S3_0_C12_C12_7"
#define ICC_SGI1R "S3_0_C12_C11_5"

namespace arch::gic {
namespace {

constexpr u64 kFrameBytes = 64 * kKiB;
constexpr u64 kRedistributorType = 0x08, kWaker = 0x14;
constexpr u64 kRouting = 0x6000;                       // in the distributor, 8 bytes for each line
constexpr u32 kOwnRouting = 1 << 4, kGroup1 = 1 << 1;  // distributor control: ARE, group 1
constexpr u32 kAsleep = 1 << 1, kChildrenAsleep = 1 << 2;

constinit u64 redistributors[smp::kMaxCpus] = {};  // by CPU index

// Masks and routing change some time after the write. What builds on them waits until the frame
// says that no write is pending (RWP: IHI 0069, GICD_CTLR and GICR_CTLR). The wait ends in any
// case, so that a broken controller does not stop the boot without a word.
void wait_for_writes(u64 frame, u32 pending) {
  constexpr u32 kPatience = 1'000'000;  // polls
  for (u32 i = 0; i < kPatience; i++) {
    if ((read_device<u32>(frame + kControl) & pending) == 0) return;
    Cpu::relax();
  }
}
constexpr u32 kDistributorPending = u32{1} << 31, kRedistributorPending = 1 << 3;

void v3_init(const boot::Gic& gic) {
  for (const boot::AddressRange& range : gic.redistributors)
    MUST(paging::map_device(range.base, range.bytes));
  u64 d = gic.distributor;
  write_device<u32>(d + kControl, 0);
  wait_for_writes(d, kDistributorPending);
  for (u32 i = kFirstShared; i < line_count(); i += 32)
    write_device<u32>(d + kDisable + i / 8, ~u32{0});
  wait_for_writes(d, kDistributorPending);
  for (u32 i = kFirstShared; i < line_count(); i += 32)
    write_device<u32>(d + kGroup + i / 8, ~u32{0});
  for (u32 i = kFirstShared; i < line_count(); i += 4)
    write_device<u32>(d + kPriority + i, kUsualPriority * 0x01010101u);
  write_device<u32>(d + kControl, kOwnRouting | kGroup1);
  wait_for_writes(d, kDistributorPending);  // the routes below exist once affinity routing is on
  for (u32 i = kFirstShared; i < line_count(); i++)
    write_device<u64>(d + kRouting + 8 * i, this_cpu().affinity);
}

// Returns the calling CPU's redistributor in a region, or 0. The frames follow each other up to the
// one that says it is the last. Beyond that one nothing may answer, however long the region is.
u64 find_redistributor(const boot::AddressRange& range, u64 stride) {
  u64 affinity = this_cpu().affinity;
  u64 packed = (affinity >> 32 & 0xff) << 24 | (affinity & 0xffffff);
  for (u64 at = range.base; at + 2 * kFrameBytes <= range.base + range.bytes;) {
    u64 type = read_device<u64>(at + kRedistributorType);
    bool virtual_messages = (type >> 1 & 1) != 0, last = (type >> 4 & 1) != 0;
    if (type >> 32 == packed) return at;
    if (last) break;
    at += stride != 0 ? stride : (virtual_messages ? 4 : 2) * kFrameBytes;
  }
  return 0;
}

void v3_init_cpu() {
  const boot::Gic& gic = hardware().gic;
  u64 r = 0;
  for (const boot::AddressRange& range : gic.redistributors)
    if (r == 0) r = find_redistributor(range, gic.redistributor_stride);
  ASSERT(r != 0);  // the architecture has no CPU without a redistributor
  redistributors[Cpu::cpu_index()] = r;
  write_device<u32>(r + kWaker, read_device<u32>(r + kWaker) & ~kAsleep);
  while ((read_device<u32>(r + kWaker) & kChildrenAsleep) != 0) Cpu::relax();
  u64 own = r + kFrameBytes;  // the frame of a CPU's own interrupts
  write_device<u32>(own + kDisable, ~u32{0});
  wait_for_writes(r, kRedistributorPending);
  write_device<u32>(own + kGroup, ~u32{0});
  write_device<u32>(own + kEnable, 0xffff);
  for (u32 i = 0; i < kFirstShared; i += 4)
    write_device<u32>(own + kPriority + i, kUsualPriority * 0x01010101u);
  WRITE_SYSTEM(ICC_SRE, 7);
  WRITE_SYSTEM(ICC_PMR, 0xf0);
  WRITE_SYSTEM(ICC_BPR1, 0);
  WRITE_SYSTEM(ICC_CTLR, 0);  // the end of an interrupt is one step, whatever the firmware used
  WRITE_SYSTEM(ICC_IGRPEN1, 1);
}

u32 v3_acknowledge() {
  return static_cast<u32>(READ_SYSTEM(ICC_IAR1)) & 0xffffff;
}

void v3_end(u32 number) {
  WRITE_SYSTEM(ICC_EOIR1, number);
}

// Names the CPU by its bit among sixteen whose affinities differ only in the lowest four bits.
void v3_send(u32, u64 affinity) {
  u64 target = (affinity >> 32 & 0xff) << 48 | (affinity >> 16 & 0xff) << 32 |
               (affinity >> 8 & 0xff) << 16 | (affinity >> 4 & 0xf) << 44;
  WRITE_SYSTEM(ICC_SGI1R, target | u64{kMessage} << 24 | u64{1} << (affinity & 15));
}

u64 v3_bank(u32 number) {
  if (number >= kFirstShared) return hardware().gic.distributor;
  return redistributors[Cpu::cpu_index()] + kFrameBytes;
}

void v3_settle(u32 number) {
  if (number >= kFirstShared)
    wait_for_writes(hardware().gic.distributor, kDistributorPending);
  else
    wait_for_writes(redistributors[Cpu::cpu_index()], kRedistributorPending);
}

}  // namespace

u64 boot_redistributor() {
  return redistributors[0];
}

constinit const Driver kVersion3{"GICv3", v3_init, v3_init_cpu, v3_acknowledge,
                                 v3_end,  v3_send, v3_bank,     v3_settle};

}  // namespace arch::gic
