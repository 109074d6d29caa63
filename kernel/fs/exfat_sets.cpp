// SPDX-License-Identifier: GPL-2.0-or-later
// Implements entry sets (sections 6.3, 7.4, 7.6, 7.7).
#include "kernel/fs/exfat_sets.h"

#include "kernel/time/wall_clock.h"

namespace fs {
namespace {

constexpr u8 kFile = 0x85, kStream = 0xc0, kName = 0xc1, kSecondary = 0x40;
constexpr u32 kLeastSecondary = 2, kMostSecondary = kExfatMostSlots - 1;  // section 7.4.2
constexpr u16 kDirectory = 0x10, kArchive = 0x20;
constexpr u8 kMayHaveClusters = 1, kNoFatChain = 2;
constexpr usize kCreatedAt = 8, kChangedAt = 12, kReadAt = 16;
constexpr u8 kUtc = 0x80;  // an offset to UTC that is known, and 0

// Section 6.3.3: the checksum covers the whole set except the checksum itself.
u16 add_to_sum(u16 sum, const Byte* slot, bool primary) {
  for (usize i = 0; i < kExfatSlotBytes; i++) {
    if (primary && (i == 2 || i == 3)) continue;
    // unsigned, because a sum of signed numbers could overflow
    u32 turned = u32{sum} << 15 | u32{sum} >> 1;
    sum = static_cast<u16>(turned + static_cast<u8>(slot[i]));
  }
  return sum;
}

// Section 7.4.8: seconds by two, minutes, hours, day, month, years since 1980.
u32 timestamp_now() {
  constexpr u64 kDay = 86'400, kDaysTo1980 = 3652, kDaysOfFourYears = 1461;
  constexpr u32 kFirstDay = 1u << 21 | 1u << 16;  // 1 January 1980
  u64 seconds = timing::file_date();
  if (seconds < kDaysTo1980 * kDay) return kFirstDay;
  u64 days = seconds / kDay - kDaysTo1980, of_day = seconds % kDay;
  // From 1980, which is a leap year, every fourth year is one until 2100.
  u64 year = days / kDaysOfFourYears * 4, day = days % kDaysOfFourYears;
  for (u64 length = 366; day >= length; length = 365) day -= length, year++;
  if (year > 119) return kFirstDay;
  constexpr u8 kMonths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  u32 month = 0;
  for (;; month++) {
    u64 length = kMonths[month] + (month == 1 && year % 4 == 0 ? 1u : 0u);
    if (day < length) break;
    day -= length;
  }
  return static_cast<u32>(year << 25 | u64{month + 1} << 21 | (day + 1) << 16 |
                          of_day / 3600 << 11 | of_day / 60 % 60 << 5 | of_day % 60 / 2);
}

}  // namespace

Result<ExfatEntry> ExfatEntry::clone() const {
  return ExfatEntry{.name = TRY(name.clone()),
                    .directory = directory,
                    .foreign = foreign,
                    .data = data,
                    .valid = valid,
                    .folder = folder,
                    .slot = slot,
                    .slots = slots};
}

// Begins a set with its first slot, or takes one that belongs to none.
ExfatSetReader::State ExfatSetReader::begin(const Byte* slot) {
  bool broken = left_ > 0;  // the previous set lacks slots
  left_ = 0;
  if (slot[0] != kFile) return broken ? State::kDamaged : State::kNone;
  left_ = slot[1];
  sane_ = !broken && left_ >= kLeastSecondary && left_ <= kMostSecondary;
  if (!sane_) {
    left_ = 0;
    return State::kDamaged;
  }
  wanted_ = base::load<u16>(slot + 2);
  sum_ = add_to_sum(0, slot, true);
  entry_ = {};
  entry_.directory = (base::load<u16>(slot + 4) & kDirectory) != 0;
  taken_ = 0;
  units_given_ = name_units_ = 0;
  return State::kMore;
}

void ExfatSetReader::add_secondary(const Byte* slot) {
  if (taken_ == 0) {
    sane_ = slot[0] == kStream;
    name_units_ = static_cast<u8>(slot[3]);
    entry_.data.contiguous = (slot[1] & kNoFatChain) != 0;
    entry_.valid = base::load<u64>(slot + 8);
    entry_.data.first = base::load<u32>(slot + 20);
    entry_.data.bytes = base::load<u64>(slot + 24);
  } else if (slot[0] == kName) {
    for (usize i = 0; i < kExfatUnitsASlot; i++)
      units_[units_given_++] = base::load<u16>(slot + 2 + 2 * i);
  } else {
    entry_.foreign = entry_.foreign || (slot[1] & kMayHaveClusters) != 0;
  }
  taken_++;
}

ExfatSetReader::State ExfatSetReader::take(const Byte* slot) {
  if ((slot[0] & kExfatInUse) == 0 || (slot[0] & kSecondary) == 0) return begin(slot);
  if (left_ == 0) return State::kNone;  // the rest of a set that was dropped
  sum_ = add_to_sum(sum_, slot, false);
  add_secondary(slot);
  if (--left_ > 0) return State::kMore;
  bool whole = sane_ && sum_ == wanted_ && name_units_ > 0 && name_units_ <= units_given_ &&
               entry_.valid <= entry_.data.bytes;
  return whole ? State::kComplete : State::kDamaged;
}

Result<ExfatEntry> ExfatSetReader::finish() {
  TRY(append_utf16(entry_.name, std::span(units_).first(name_units_)));
  entry_.slots = taken_ + 1;
  return std::move(entry_);
}

ExfatSet::ExfatSet(bool directory, std::span<const u16> units, u16 name_hash)
    : slots_(slots_for(units.size())) {
  Byte* stream = bytes_ + kExfatSlotBytes;
  bytes_[0] = kFile;
  bytes_[1] = static_cast<Byte>(slots_ - 1);
  base::store<u16>(bytes_ + 4, directory ? kDirectory : kArchive);
  u32 now = timestamp_now();
  base::store<u32>(bytes_ + kCreatedAt, now);
  bytes_[22] = kUtc;
  stream[0] = kStream;
  stream[3] = static_cast<Byte>(units.size());
  base::store<u16>(stream + 4, name_hash);
  for (usize i = 0; i < units.size(); i++) {
    Byte* slot = stream + (1 + i / kExfatUnitsASlot) * kExfatSlotBytes;
    slot[0] = kName;
    base::store<u16>(slot + 2 + i % kExfatUnitsASlot * 2, units[i]);
  }
  touch();
}

void ExfatSet::touch() {
  u32 now = timestamp_now();
  for (usize at : {kChangedAt, kReadAt}) base::store<u32>(bytes_ + at, now);
  bytes_[21] = 0;  // hundredths of a second
  bytes_[23] = bytes_[24] = kUtc;
}

void ExfatSet::set_data(const ExfatChain& where, u64 valid) {
  Byte* stream = bytes_ + kExfatSlotBytes;
  bool chainless = where.first != 0 && where.contiguous;
  stream[1] = static_cast<Byte>(kMayHaveClusters | (chainless ? kNoFatChain : 0));
  base::store<u64>(stream + 8, valid);
  base::store<u32>(stream + 20, where.first);
  base::store<u64>(stream + 24, where.bytes);
}

void ExfatSet::seal() {
  u16 sum = 0;
  for (usize i = 0; i < slots_; i++) sum = add_to_sum(sum, bytes_ + i * kExfatSlotBytes, i == 0);
  base::store<u16>(bytes_ + 2, sum);
}

void ExfatSet::erase() {
  for (usize i = 0; i < slots_; i++) bytes_[i * kExfatSlotBytes] &= static_cast<Byte>(~kExfatInUse);
}

bool ExfatSet::set_slots(u32 slots) {
  if (slots <= kLeastSecondary || slots > kExfatMostSlots) return false;
  slots_ = slots;
  return true;
}

}  // namespace fs
