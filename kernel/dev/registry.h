// SPDX-License-Identifier: GPL-2.0-or-later
// The disks and network interfaces of the machine. Devices are never removed. For threads.
#pragma once

#include <span>

#include "kernel/base/format.h"
#include "kernel/dev/block_device.h"
#include "kernel/dev/net_device.h"

namespace devices {

Result<void> add_block(BlockDevice& device);
Result<void> add_net(NetDevice& device);
std::span<BlockDevice* const> blocks();
std::span<NetDevice* const> nets();
// Returns null if there is none. A stick that was removed and inserted again may have its old name;
// the newest device is returned.
BlockDevice* find_block(std::string_view name);
NetDevice* find_net(std::string_view name);

sched::WaitQueue& block_added();  // add_block() wakes this queue
// Drivers call these before and after their first search for devices.
void begin_search();
void end_search();
bool searching();

// The console's requests to the drivers. For threads.
struct DriverService {
  void (*list)(base::Writer& out);      // one row per device with its driver and state
  void (*list_usb)(base::Writer& out);  // one row per USB device
  void (*advise)(base::Writer& out);    // one line per disk controller or card without a driver
  // Resets a PCI function ("00:04.0") through its driver.
  Result<void> (*reset)(std::string_view function);
  // For tests: lets the next `count` DMA mappings fail.
  void (*starve_dma)(u64 count);
};
void set_driver_service(const DriverService& service);
const DriverService* driver_service();  // null if no drivers run here

}  // namespace devices
