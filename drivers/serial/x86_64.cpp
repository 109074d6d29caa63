// SPDX-License-Identifier: GPL-2.0-or-later
// Lists the serial chip of a PC.
#include "drivers/serial/chip.h"

namespace serial {

std::span<const Chip* const> chips() {
  static constexpr const Chip* kChips[] = {&kUart16550Ports};
  return kChips;
}

}  // namespace serial
