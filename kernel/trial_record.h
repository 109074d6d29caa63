// SPDX-License-Identifier: GPL-2.0-or-later
// The record in which a kernel on trial notes how it ended. It lies in RAM, which a warm reset
// leaves as it is on most machines. Where it was lost or overwritten, nothing is known of the end.
// Pure; any context.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/types.h"

namespace trial {

enum class Death : u8 {
  kPanic,
  kHang,  // its time was over, and the boot CPU no longer scheduled
  kLate,  // its time was over, and the machine worked
};
// "panic", "hang", "late": by these the boot volume and /health name it.
const char* death_name(Death death);

struct DeathRecord {
  u64 magic = 0, sum = 0;
  Death death{};
  u8 slot_chars = 0, reason_chars = 0, unused = 0;
  char slot[12] = {};  // update.slot= of the kernel that ended
  char reason[96] = {};

  // True if this was written, and no byte has changed since.
  bool whole() const;
  // Longer texts are cut.
  void write(Death how, std::string_view of_slot, std::string_view why);
  std::string_view slot_name() const { return {slot, slot_chars}; }
  std::string_view why() const { return {reason, reason_chars}; }

 private:
  u64 sum_now() const;
};
static_assert(sizeof(DeathRecord) == 128);

}  // namespace trial
