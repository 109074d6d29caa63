// SPDX-License-Identifier: GPL-2.0-or-later
// Random numbers: ours for drivers, theirs (virtio-rng) for us.
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
// The generator's thread calls this with what it read; it sleeps here until more is wanted.
void add_hwgenerator_randomness(const void *bytes, size_t length, size_t entropy) {
  shim_host_add_entropy(bytes, length, entropy);
  if (!kthread_should_stop()) schedule_timeout_interruptible(kReseedSeconds * HZ);
}
int misc_register(struct miscdevice *device) { return 0; }  // /dev/hwrng: nothing opens it
void misc_deregister(struct miscdevice *device) {}
