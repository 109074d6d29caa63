// SPDX-License-Identifier: GPL-2.0-or-later
// Writes advice about a disk controller or a network card that has no driver.
#pragma once

#include "drivers/linux/host.h"
#include "kernel/base/format.h"

namespace linux_drivers {

// Writes "00:03.0: no driver for this network card of Realtek (10ec:8139): use one of …" and a line
// end. Returns false and writes nothing if the device has a driver, or if a machine does not need
// one.
bool advise(const struct shim_binding& row, base::Writer& out);

}  // namespace linux_drivers
