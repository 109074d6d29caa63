// SPDX-License-Identifier: GPL-2.0-or-later
// The entry sets of exFAT directories: 32-byte slots for a file, its stream and its name. Pure.
#pragma once

#include "kernel/fs/runs.h"

namespace fs {

constexpr usize kExfatSlotBytes = 32, kExfatMostSlots = 19;
constexpr usize kExfatUnitsASlot = 15;
constexpr u8 kExfatInUse = 0x80;

// Where clusters are, and how many bytes of them count.
struct ExfatChain {
  u32 first = 0;            // cluster; 0 = none
  bool contiguous = false;  // NoFatChain: the clusters follow one another
  u64 bytes = 0;            // DataLength
};

// A file or directory, as its entry set describes it.
struct ExfatEntry {
  String name;
  bool directory = false;
  bool foreign = false;  // it has clusters of a kind that we do not know
  ExfatChain data;
  u64 valid = 0;  // ValidDataLength: bytes after it read as zeros
  // The place of the set: a directory, and a byte offset in it. The root directory has none.
  ExfatChain folder;
  u64 slot = 0;
  u32 slots = 0;
  bool is_root() const { return slots == 0; }
  Result<ExfatEntry> clone() const;
};

// Collects the slots of one entry set: file, stream extension, names.
class ExfatSetReader {
 public:
  enum class State : u8 { kNone, kMore, kComplete, kDamaged };
  State take(const Byte* slot);
  Result<ExfatEntry> finish();  // call after kComplete
  void reset() { left_ = 0; }
  bool waiting() const { return left_ > 0; }

 private:
  State begin(const Byte* slot);
  void add_secondary(const Byte* slot);

  u32 left_ = 0;  // slots that are still to come
  u16 sum_ = 0, wanted_ = 0;
  u32 taken_ = 0;  // secondary slots so far
  usize units_given_ = 0, name_units_ = 0;
  bool sane_ = true;
  ExfatEntry entry_;
  u16 units_[(kExfatMostSlots - 1) * kExfatUnitsASlot] = {};
};

// The bytes of an entry set, to be written.
class ExfatSet {
 public:
  ExfatSet() = default;
  // A new set for a file or directory. `units` is its name.
  ExfatSet(bool directory, std::span<const u16> units, u16 name_hash);
  static u32 slots_for(usize units) {
    return static_cast<u32>(2 + (units + kExfatUnitsASlot - 1) / kExfatUnitsASlot);
  }
  void set_data(const ExfatChain& where, u64 valid);
  void touch();  // the time of the last change is now, if the time is known
  void seal();   // stores the checksum
  // Marks each slot as unused.
  void erase();
  std::span<Byte> bytes() { return std::span(bytes_).first(slots_ * kExfatSlotBytes); }
  bool set_slots(u32 slots);  // false: no set has that many

 private:
  Byte bytes_[kExfatMostSlots * kExfatSlotBytes] = {};
  u32 slots_ = 0;
};

}  // namespace fs
