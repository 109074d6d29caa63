// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the registry of devices.
#include "kernel/dev/registry.h"

#include "kernel/base/containers.h"
#include "kernel/log.h"

namespace devices {
namespace {

constinit StaticVector<BlockDevice*, 128> block_devices;
constinit StaticVector<NetDevice*, 16> net_devices;
constinit sched::WaitQueue block_event;
constinit u32 searches = 0;
constinit const DriverService* drivers = nullptr;

}  // namespace

Result<void> add_block(BlockDevice& device) {
  if (!block_devices.push_back(&device)) return fail(Errc::kFull, "too many disks");
  BlockGeometry g = device.geometry();
  log::info("block", "{}: {} MiB in blocks of {} bytes, {} requests deep", device.name(),
            g.blocks / (kMiB / std::max(g.block_bytes, 1u)), g.block_bytes, device.queue_depth());
  block_event.wake_all();
  return {};
}

Result<void> add_net(NetDevice& device) {
  if (!net_devices.push_back(&device)) return fail(Errc::kFull, "too many network interfaces");
  MacAddress m = device.mac();
  log::info("net", "{}: {:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", device.name(), m[0], m[1], m[2],
            m[3], m[4], m[5]);
  return {};
}

std::span<BlockDevice* const> blocks() {
  return block_devices.view();
}
std::span<NetDevice* const> nets() {
  return net_devices.view();
}
sched::WaitQueue& block_added() {
  return block_event;
}
void begin_search() {
  searches++;
}
void end_search() {
  ASSERT(searches > 0);
  searches--;
}
bool searching() {
  return searches > 0;
}

BlockDevice* find_block(std::string_view name) {
  BlockDevice* newest = nullptr;
  for (BlockDevice* d : block_devices)
    if (d->name() == name) newest = d;
  return newest;
}
NetDevice* find_net(std::string_view name) {
  for (NetDevice* d : net_devices)
    if (d->name() == name) return d;
  return nullptr;
}

void set_driver_service(const DriverService& service) {
  drivers = &service;
}
const DriverService* driver_service() {
  return drivers;
}

}  // namespace devices
