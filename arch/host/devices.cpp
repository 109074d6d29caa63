// SPDX-License-Identifier: GPL-2.0-or-later
// The twin's devices: stdio for a console, the host's files for a disk, its TCP for a network.
#include "arch/host/host_fs.h"
#include "arch/host/process.h"
#include "arch/host/sockets.h"
#include "kernel/dev/probe.h"
#include "kernel/dev/terminal.h"

namespace devices {

void start_console(const BootInfo&) {
  MUST(terminal::add(host::standard_streams()));
}

void probe_all(const BootInfo&) {
  MUST(fs::mount("/host", host::file_system()));
  net::set_network(&host::host_network());
}

}  // namespace devices
