// SPDX-License-Identifier: GPL-2.0-or-later
// The second home of KV pages on a disk of this machine (option kv.disk=): one folder for all
// models. Belongs to the engine's thread, but for figures().
#pragma once

#include "ai/engine/kv_home.h"

namespace service {

// Returns the home, or null if there is none: because it is not wanted, or because no disk can hold
// it. Waits for the disk when it is opened, and tries again when disks have come or gone.
ai::KvHome* kv_home();

// Returns the home if it is open. Does not wait. Any thread of CPU 0.
ai::KvHome* open_kv_home();

// Returns what is there; a `most_bytes` of 0 if the home is not open. Any thread of CPU 0.
ai::KvHome::Figures kv_home_figures();

}  // namespace service
