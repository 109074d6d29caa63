// SPDX-License-Identifier: GPL-2.0-or-later
// lwIP's timers (LWIP_TIMERS_CUSTOM). A timer runs only while it has something to do.
#pragma once

namespace net {

// Registers a function that is called when a timer may be due sooner than sys_timeouts_sleeptime()
// returned last.
void on_earlier_timer(void (*wake)());

}  // namespace net
