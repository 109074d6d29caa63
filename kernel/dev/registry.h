// SPDX-License-Identifier: GPL-2.0-or-later
// Which disks and network interfaces there are. Devices stay for ever. Thread context.
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
// Null = none. A stick that was pulled out and put in again may have its old name: the newest.
BlockDevice* find_block(std::string_view name);
NetDevice* find_net(std::string_view name);

sched::WaitQueue& block_added();  // woken by add_block
// Drivers bracket their first look at the machine's devices with these.
void begin_search();
void end_search();
bool searching();

// What the console asks of whoever runs the drivers. Thread context.
struct DriverService {
  void (*list)(base::Writer& out);      // a row a device with its driver and state
  void (*list_usb)(base::Writer& out);  // a row a USB device
  void (*advise)(base::Writer& out);    // a line a disk controller or card without a driver
  // Resets a PCI function ("00:04.0") through its driver.
  Result<void> (*reset)(std::string_view function);
  // For tests: the next `count` DMA mappings fail.
  void (*starve_dma)(u64 count);
};
void set_driver_service(const DriverService& service);
const DriverService* driver_service();  // null = no drivers run here

}  // namespace devices
