// SPDX-License-Identifier: GPL-2.0-or-later
// Updates over the network, by the client that pulls models. For threads of CPU 0; waits for the
// network and for disks.
#pragma once

#include "service/pull.h"
#include "service/update/slots.h"

namespace service::update {

// Fetches an update file from http://… or https://…, and writes its kernel to a slot as
// write_update() does. Nothing but the head is fetched if the head is not accepted.
//
// The file comes to a disk, into the folder updates/, and not straight into the slot: the slot may
// have the kernel to go back to, so nothing of it is erased before the last byte has come and the
// whole was compared with the signed hash. The boot volume is not taken, because an update must
// not change its directories. What was interrupted stays there, and the same command goes on.
Result<Written> fetch_update(std::string_view url, const Plan& plan, PullWatcher& watcher);

}  // namespace service::update
