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
BlockDevice* find_block(std::string_view name);  // null = none
NetDevice* find_net(std::string_view name);

sched::WaitQueue& block_added();  // woken by add_block
// Drivers bracket their first look at the machine's devices with these.
void begin_search();
void end_search();
bool searching();

// A row a device with its driver and state; whoever runs drivers says how to list them.
void set_driver_list(void (*list)(base::Writer& out));
void list_drivers(base::Writer& out);

}  // namespace devices
