// SPDX-License-Identifier: GPL-2.0-or-later
// Writes the record of a kernel's end, and tells a whole one from what memory happens to hold.
#include "kernel/trial_record.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "kernel/base/hash.h"

namespace trial {
namespace {

constexpr u64 kMagic = 0x4d61'7272'6f77'2e31;  // "Marrow.1"
constexpr const char* kNames[] = {"panic", "hang", "late"};

}  // namespace

const char* death_name(Death death) {
  return kNames[static_cast<usize>(death)];
}

u64 DeathRecord::sum_now() const {
  constexpr usize kBegin = offsetof(DeathRecord, death);
  return base::fnv1a({reinterpret_cast<const Byte*>(this) + kBegin, sizeof *this - kBegin});
}

bool DeathRecord::whole() const {
  return magic == kMagic && sum == sum_now() && static_cast<usize>(death) < std::size(kNames) &&
         slot_chars <= sizeof slot && reason_chars <= sizeof reason;
}

void DeathRecord::write(Death how, std::string_view of_slot, std::string_view why) {
  *this = {};
  death = how;
  slot_chars = static_cast<u8>(std::min(of_slot.size(), sizeof slot));
  reason_chars = static_cast<u8>(std::min(why.size(), sizeof reason));
  std::memcpy(slot, of_slot.data(), slot_chars);
  std::memcpy(reason, why.data(), reason_chars);
  sum = sum_now();
  magic = kMagic;
}

}  // namespace trial
