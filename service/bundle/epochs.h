// SPDX-License-Identifier: GPL-2.0-or-later
// Remembers the newest security_epoch of each bundle that was loaded, so that an older one is not
// loaded again: in a record (service/bundle/record.h) on a disk inside the machine, or until
// power-off where there is none. Who can write that disk can turn it back. For threads of CPU 0;
// waits for disks.
#pragma once

#include <string_view>

#include "kernel/base/containers.h"

namespace service::bundle {

// Returns 0 for a bundle that was never loaded with a good signature.
Result<u64> epoch_of(std::string_view name);
// Does nothing if the epoch is not higher. An error means that it may be forgotten at power-off.
Result<void> raise_epoch(std::string_view name, u64 epoch);
// A person accepts older ones again. Returns kNotFound if nothing is known of the bundle.
Result<void> accept_older(std::string_view name);

void forget_epochs();  // for tests: as after a restart

}  // namespace service::bundle
