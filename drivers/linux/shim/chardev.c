// SPDX-License-Identifier: GPL-2.0-or-later
// Character devices (/dev/nvme0, /dev/bus/usb, …). They are registered nowhere, because nothing
// here opens them.
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/fs.h>

#include "drivers/linux/shim/shim.h"

enum { kFirstMajor = 241 };

void cdev_init(struct cdev *device, const struct file_operations *operations) { device->ops = operations; }
struct cdev *cdev_alloc(void) { return kzalloc(sizeof(struct cdev), GFP_KERNEL); }
int cdev_add(struct cdev *device, dev_t number, unsigned int count) { return 0; }
void cdev_del(struct cdev *device) {}
int cdev_device_add(struct cdev *device, struct device *parent) { return device_add(parent); }
void cdev_device_del(struct cdev *device, struct device *parent) { device_del(parent); }
int alloc_chrdev_region(dev_t *first, unsigned int base, unsigned int count, const char *name) {
  *first = MKDEV(kFirstMajor, base);
  return 0;
}
int register_chrdev_region(dev_t first, unsigned int count, const char *name) { return 0; }
void unregister_chrdev_region(dev_t first, unsigned int count) {}
int __register_chrdev(unsigned int major, unsigned int first, unsigned int count, const char *name,
                      const struct file_operations *operations) {
  return major ? 0 : kFirstMajor;
}
void __unregister_chrdev(unsigned int major, unsigned int first, unsigned int count, const char *name) {}
