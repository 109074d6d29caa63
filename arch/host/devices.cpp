// SPDX-License-Identifier: GPL-2.0-or-later
// Registers the twin's devices: stdio as console, the host's files as a disk, the host's TCP as
// network.
#include <ctime>

#include "arch/host/host_fs.h"
#include "arch/host/process.h"
#include "arch/host/sockets.h"
#include "kernel/dev/probe.h"
#include "kernel/dev/terminal.h"
#include "kernel/net/start.h"
#include "kernel/time/wall_clock.h"

namespace devices {

void start_console(const BootInfo&) {
  MUST(terminal::add(host::standard_streams()));
}

void probe_all(const BootInfo&) {
  MUST(fs::mount("/host", host::file_system()));
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  timing::set_unix_ns(static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec));
}

}  // namespace devices

namespace net {

void start() {
  set_network(&host::host_network());
}

}  // namespace net
