// SPDX-License-Identifier: GPL-2.0-or-later
// firmware: what the loader and the firmware have told.
#include "console/shell/command.h"
#include "kernel/arch_machine.h"

namespace console {
namespace {

Result<void> run_firmware(const Arguments&, base::Writer& out) {
  arch::describe_firmware(out);
  return {};
}
constexpr Command kFirmware{"firmware", "firmware",
                            "the loader, the firmware's memory map and its tables", run_firmware,
                            "Tables that tell of the hardware follow in hex."};
CONSOLE_COMMAND(kFirmware);

}  // namespace
}  // namespace console
