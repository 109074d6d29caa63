// SPDX-License-Identifier: GPL-2.0-or-later
// The 32-byte slots of FAT directories: short entries, and the long names that precede them.
#pragma once

#include "kernel/fs/fat.h"

namespace fs {

constexpr usize kFatSlotBytes = 32;
constexpr u8 kFatDeleted = 0xe5, kFatVolume = 0x08, kFatDirectory = 0x10, kFatLong = 0x0f;
constexpr usize kFatLongUnits = 13, kFatMostLong = 20;
// The offsets of the 13 UTF-16 units in a long slot.
constexpr u8 kFatUnitAt[kFatLongUnits] = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};

u8 fat_short_checksum(const Byte* name);

// Collects long-name slots until their short entry comes. Any gap in their order drops the long
// name.
class FatNameReader {
 public:
  void on_long(const Byte* slot);
  // Returns the entry's name: the long one if all its slots fit together, otherwise the short one.
  Result<String> finish(const Byte* slot);
  void reset() { next_ = 0, count_ = 0; }
  u32 slots() const { return count_; }

 private:
  u16 units_[kFatLongUnits * kFatMostLong] = {};
  u32 count_ = 0;  // slots of the name
  u32 next_ = 0;   // the ordinal that must come next; 0 = complete
  u8 checksum_ = 0;
};

}  // namespace fs
