// SPDX-License-Identifier: GPL-2.0-or-later
// Functions for network drivers other than e1000e and virtio_net: PHY library hooks, firmware, I²C,
// addresses.
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/firmware.h>
#include <linux/i2c.h>
#include <linux/netdevice.h>
#include <linux/phy.h>
#include <net/xdp.h>

#include "drivers/linux/shim/shim.h"

// No file system is mounted when a card starts. r8169 runs without its patch and logs that.
int request_firmware(const struct firmware **out, const char *name, struct device *device) { return -ENOENT; }
void release_firmware(const struct firmware *firmware) {}

// igb's I²C bus reaches optical modules of a few server cards, whose data nobody reads.
int i2c_add_adapter(struct i2c_adapter *adapter) { return 0; }
int i2c_add_numbered_adapter(struct i2c_adapter *adapter) { return 0; }
void i2c_del_adapter(struct i2c_adapter *adapter) {}
s32 i2c_smbus_read_byte_data(const struct i2c_client *client, u8 command) { return -ENODEV; }
s32 i2c_smbus_write_byte_data(const struct i2c_client *client, u8 command, u8 value) { return -ENODEV; }

void ethtool_set_ethtool_phy_ops(const struct ethtool_phy_ops *ops) {}  // ethtool ioctls do not exist
void linkwatch_fire_event(struct net_device *device) {}  // carrier changes are reported at once
int eth_platform_get_mac_address(struct device *device, u8 *address) { return -ENODEV; }  // no device tree
int eth_mac_addr(struct net_device *device, void *address) {
  eth_hw_addr_set(device, ((struct sockaddr *)address)->sa_data);
  return 0;
}
void netif_set_tso_max_size(struct net_device *device, unsigned int size) { device->tso_max_size = size; }
void netif_set_tso_max_segs(struct net_device *device, unsigned int count) { device->tso_max_segs = count; }
void netdev_update_features(struct net_device *device) {}
// the shim has its own counters
void netdev_stats_to_stats64(struct rtnl_link_stats64 *out, const struct net_device_stats *from) {}
void dev_fetch_sw_netstats(struct rtnl_link_stats64 *out, const struct pcpu_sw_netstats __percpu *from) {}

// Groups are not filtered (IFF_ALLMULTI), and a card has no second address: the lists stay empty.
int __hw_addr_sync_dev(struct netdev_hw_addr_list *list, struct net_device *device,
                       int (*sync)(struct net_device *, const unsigned char *),
                       int (*unsync)(struct net_device *, const unsigned char *)) {
  return 0;
}
void __hw_addr_unsync_dev(struct netdev_hw_addr_list *list, struct net_device *device,
                          int (*unsync)(struct net_device *, const unsigned char *)) {}

// igb and igc copy this much into the head and leave the frame where it is, so less is better.
u32 eth_get_headlen(const struct net_device *device, const void *data, u32 length) { return min(length, (u32)ETH_HLEN); }
bool xdp_rxq_info_is_reg(struct xdp_rxq_info *queue) { return false; }
void xdp_rxq_info_unreg_mem_model(struct xdp_rxq_info *queue) {}

void set_normalized_timespec64(struct timespec64 *out, time64_t seconds, s64 ns) {
  for (; ns >= NSEC_PER_SEC; ns -= NSEC_PER_SEC) seconds++;
  for (; ns < 0; ns += NSEC_PER_SEC) seconds--;
  *out = (struct timespec64){seconds, ns};
}
