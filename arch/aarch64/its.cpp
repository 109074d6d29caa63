// SPDX-License-Identifier: GPL-2.0-or-later
// Drives the ITS with one collection, which leads to CPU 0. A message's event and its interrupt
// both carry the vector's number, so nothing has to be looked up when the message comes.
#include "arch/aarch64/its.h"

#include <arch/cpu.h>
#include <arch/paging.h>
#include <arch/registers.h>

#include "arch/aarch64/gic.h"
#include "arch/aarch64/paging_tables.h"
#include "kernel/base/bytes.h"
#include "kernel/log.h"
#include "kernel/mm/memory.h"

namespace arch::its {
namespace {

// Registers of the ITS, and of a redistributor.
constexpr u64 kControl = 0x00, kType = 0x08, kQueue = 0x80, kQueueWrite = 0x88, kQueueRead = 0x90,
              kTables = 0x100, kTranslater = 0x10040, kUnitBytes = 0x20000;
constexpr u64 kProperties = 0x70, kPending = 0x78;
constexpr u64 kValid = u64{1} << 63;
constexpr u64 kCached = u64{7} << 59 | 1 << 10;  // write-back, inner shareable: for the ITS
constexpr u64 kShared = 7 << 7 | 1 << 10;        // the same, for a redistributor
constexpr u32 kIdBits = 14;                      // width of interrupt numbers: 8192 messages
constexpr u64 kQueueBytes = 64 * kKiB, kPropertyBytes = 8 * kKiB, kPendingBytes = 64 * kKiB;
constexpr u8 kEnabled = 1;
constexpr u32 kEventBits = 8;         // one event for each vector
constexpr u64 kPatience = 1'000'000;  // polls before a command is given up

// Commands, by their first word.
constexpr u64 kMapDevice = 0x08, kMapCollection = 0x09, kMapEvent = 0x0a, kInvalidate = 0x0c,
              kSync = 0x05;

struct Unit {
  u64 base = 0;
  Byte* queue = nullptr;
  u64 written = 0;
  u64 target = 0;  // its name for CPU 0's redistributor
};
constinit StaticVector<Unit, 16> units;
constinit Byte* properties = nullptr;

struct KnownDevice {
  u64 base;
  u32 device;
};
constinit StaticVector<KnownDevice, 256> devices;

// Allocates memory that the ITS or a redistributor reads. It is cleaned, because the unit may have
// other attributes than those it was asked for (IHI 0069, 5.1.1) and then does not look into
// caches.
Result<Byte*> memory_for_unit(u64 bytes) {
  auto pages = TRY(mm::allocate_pages({.bytes = bytes,
                                       .purpose = mm::Purpose::kDrivers,
                                       .align = std::max<u64>(bytes, 64 * kKiB)}));
  clean_lines(reinterpret_cast<u64>(pages.data()), reinterpret_cast<u64>(pages.data()) + bytes);
  return pages.data();
}

Result<void> command(Unit& unit, u64 a, u64 b, u64 c) {
  const u64 words[4] = {a, b, c, 0};
  Byte* at = unit.queue + unit.written;
  std::memcpy(at, words, sizeof words);
  clean_lines(reinterpret_cast<u64>(at), reinterpret_cast<u64>(at) + sizeof words);
  unit.written = (unit.written + sizeof words) % kQueueBytes;
  write_device<u64>(unit.base + kQueueWrite, unit.written);
  for (u64 i = 0; i < kPatience; i++) {
    if (read_device<u64>(unit.base + kQueueRead) == unit.written) return {};
    Cpu::relax();
  }
  return fail(Errc::kTimeout, "an ITS does not take its commands");
}

// Gives CPU 0's redistributor the table of enabled messages, and memory for the pending ones.
Result<void> start_messages(u64 redistributor) {
  if (properties != nullptr) return {};
  constexpr u32 kMessagesOn = 1;
  if ((read_device<u32>(redistributor) & kMessagesOn) != 0)
    return fail(Errc::kUnsupported, "the firmware left message interrupts on");
  properties = TRY(memory_for_unit(kPropertyBytes));
  Byte* pending = TRY(memory_for_unit(kPendingBytes));
  constexpr u64 kPendingIsZero = u64{1} << 62;
  write_device<u64>(redistributor + kProperties,
                    reinterpret_cast<u64>(properties) | kShared | (kIdBits - 1));
  write_device<u64>(redistributor + kPending,
                    reinterpret_cast<u64>(pending) | kShared | kPendingIsZero);
  write_device<u32>(redistributor, read_device<u32>(redistributor) | kMessagesOn);
  asm volatile("dsb sy" : : : "memory");
  return {};
}

// An ITS that the firmware used may still be at work. Its tables may change only when it says that
// it is not (IHI 0069, GITS_CTLR.Quiescent).
Result<void> wait_until_quiet(u64 base) {
  constexpr u32 kQuiet = u32{1} << 31;
  for (u64 i = 0; i < kPatience; i++) {
    if ((read_device<u32>(base + kControl) & kQuiet) != 0) return {};
    Cpu::relax();
  }
  return fail(Errc::kTimeout, "an ITS does not come to rest");
}

// Gives the unit memory for its own tables: a flat one of devices, and one of collections.
Result<void> give_tables(u64 base) {
  constexpr u32 kDevices = 1, kCollections = 4;
  for (u32 i = 0; i < 8; i++) {
    u64 at = base + kTables + 8 * i;
    u32 kind = static_cast<u32>(read_device<u64>(at) >> 56 & 7);
    if (kind != kDevices && kind != kCollections) continue;
    u64 bytes = kind == kDevices ? mm::kLargePageBytes / 4 : 64 * kKiB;
    Byte* table = TRY(memory_for_unit(bytes));
    write_device<u64>(at, kValid | kCached | reinterpret_cast<u64>(table) | (bytes / 4096 - 1));
    // The unit may insist on pages of another size, in which the table is then counted.
    u64 size = read_device<u64>(at) >> 8 & 3;
    if (size == 0) continue;
    u64 page = size == 1 ? 16 * kKiB : 64 * kKiB;
    write_device<u64>(
        at, kValid | kCached | reinterpret_cast<u64>(table) | size << 8 | (bytes / page - 1));
  }
  return {};
}

Result<Unit*> open(u64 base, u64 redistributor) {
  for (Unit& unit : units)
    if (unit.base == base) return &unit;
  TRY(start_messages(redistributor));
  TRY(paging::map_device(base, kUnitBytes));
  write_device<u32>(base + kControl, 0);
  TRY(wait_until_quiet(base));
  TRY(give_tables(base));
  Unit unit{.base = base, .queue = TRY(memory_for_unit(kQueueBytes))};
  u64 type = read_device<u64>(base + kType);
  u64 number = read_device<u64>(redistributor + 0x08) >> 8 & 0xffff;
  bool by_address = (type >> 19 & 1) != 0;
  unit.target = by_address ? redistributor : number << 16;
  write_device<u64>(base + kQueue, kValid | kCached | reinterpret_cast<u64>(unit.queue) |
                                       (kQueueBytes / 4096 - 1));
  write_device<u64>(base + kQueueWrite, 0);
  write_device<u32>(base + kControl, 1);
  TRY(command(unit, kMapCollection, 0, kValid | unit.target));
  TRY(command(unit, kSync, 0, unit.target));
  if (!units.push_back(unit)) return fail(Errc::kFull, "more ITSs than rows");
  return &units[units.size() - 1];
}

Result<void> know_device(Unit& unit, u32 device) {
  for (const KnownDevice& known : devices)
    if (known.base == unit.base && known.device == device) return {};
  u64 entry_bytes = (read_device<u64>(unit.base + kType) >> 4 & 15) + 1;
  Byte* table = TRY(memory_for_unit(base::round_up(entry_bytes << kEventBits, 4096)));
  TRY(command(unit, kMapDevice | u64{device} << 32, kEventBits - 1,
              kValid | reinterpret_cast<u64>(table)));
  if (!devices.push_back({unit.base, device})) return fail(Errc::kFull, "more devices than rows");
  return {};
}

}  // namespace

Result<interrupts::Message> message(u64 base, u32 device, u32 vector, u64 redistributor) {
  if (redistributor == 0) return fail(Errc::kUnsupported, "an ITS without a GICv3");
  Unit& unit = *TRY(open(base, redistributor));
  TRY(know_device(unit, device));
  properties[vector] = gic::kUsualPriority | kEnabled;
  clean_lines(reinterpret_cast<u64>(properties + vector),
              reinterpret_cast<u64>(properties + vector) + 1);
  u64 event = kMapEvent | u64{device} << 32;
  TRY(command(unit, event, u64{gic::kFirstMessage + vector} << 32 | vector, 0));
  TRY(command(unit, kInvalidate | u64{device} << 32, vector, 0));
  TRY(command(unit, kSync, 0, unit.target));
  return interrupts::Message{base + kTranslater, vector};
}

}  // namespace arch::its
