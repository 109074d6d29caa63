// SPDX-License-Identifier: GPL-2.0-or-later
// lwIP's timers (LWIP_TIMERS_CUSTOM): those that have nothing to do do not run.
#pragma once

namespace net {

// Called when a timer may be due sooner than sys_timeouts_sleeptime() said last.
void on_earlier_timer(void (*wake)());

}  // namespace net
