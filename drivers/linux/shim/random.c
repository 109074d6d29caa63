// SPDX-License-Identifier: GPL-2.0-or-later
// Random numbers: Marrow's for drivers, and those of drivers (virtio-rng) for Marrow.
#include <linux/hw_random.h>
#include <linux/kthread.h>
#include <linux/miscdevice.h>
#include <linux/random.h>

#include "drivers/linux/shim/shim.h"

enum { kReseedSeconds = 60 };

void get_random_bytes(void *out, size_t length) { shim_host_random(out, length); }
u32 __get_random_u32_below(u32 ceiling) {
  u32 value;
  shim_host_random(&value, sizeof(value));
  return ceiling ? (u64)value * ceiling >> 32 : value;
}
bool rng_is_initialized(void) { return false; }  // %p then prints a placeholder instead of a hash
void add_device_randomness(const void *bytes, size_t length) { shim_host_add_entropy(bytes, length, 0); }
// The generator's thread calls this with the bytes it has read, and sleeps here until more are
// wanted.
void add_hwgenerator_randomness(const void *bytes, size_t length, size_t entropy) {
  shim_host_add_entropy(bytes, length, entropy);
  if (!kthread_should_stop()) schedule_timeout_interruptible(kReseedSeconds * HZ);
}
int misc_register(struct miscdevice *device) { return 0; }  // /dev/hwrng: nothing opens it
void misc_deregister(struct miscdevice *device) {}
