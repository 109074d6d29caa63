// SPDX-License-Identifier: GPL-2.0-or-later
// Work that must be done before the machine is turned off. For threads of CPU 0 but the engine's;
// sleeps.
#pragma once

namespace service {

// Waits until ended texts are on their disk (kv.disk=), but at most 20 seconds.
void finish_keeping();

}  // namespace service
