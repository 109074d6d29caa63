// SPDX-License-Identifier: GPL-2.0-or-later
// Functions that the USB core needs besides memory, PCI and work queues, and the list behind
// `lsusb`.
#include <linux/notifier.h>
#include <linux/sched.h>
#include <linux/usb.h>
#include <linux/usb/hcd.h>
#include <linux/utsname.h>

#include "drivers/linux/shim/shim.h"

// Root hubs take their name from this: "Linux 6.1 xhci-hcd".
struct uts_namespace init_uts_ns = {.name = {.sysname = "Linux", .release = "6.1"}};
enum system_states system_state = SYSTEM_RUNNING;

// Calls in order of priority, until one says stop.
int blocking_notifier_chain_register(struct blocking_notifier_head *chain, struct notifier_block *block) {
  struct notifier_block **at = &chain->head;
  while (*at && (*at)->priority >= block->priority) at = &(*at)->next;
  block->next = *at;
  *at = block;
  return 0;
}
int blocking_notifier_chain_unregister(struct blocking_notifier_head *chain, struct notifier_block *block) {
  struct notifier_block **at = &chain->head;
  while (*at && *at != block) at = &(*at)->next;
  if (!*at) return -ENOENT;
  *at = block->next;
  return 0;
}
int blocking_notifier_call_chain(struct blocking_notifier_head *chain, unsigned long value, void *data) {
  int result = NOTIFY_DONE;
  for (struct notifier_block *at = chain->head, *next; at && !(result & NOTIFY_STOP_MASK); at = next) {
    next = at->next;
    result = at->notifier_call(at, value, data);
  }
  return result;
}

// ---- Marrow's side ----
struct usb_search {
  int left;
  struct shim_usb_info *out;
};
static unsigned int megabits(enum usb_device_speed speed) {
  static const unsigned int kSpeeds[] = {[USB_SPEED_LOW] = 1,       [USB_SPEED_FULL] = 12,
                                         [USB_SPEED_HIGH] = 480,    [USB_SPEED_WIRELESS] = 480,
                                         [USB_SPEED_SUPER] = 5000,  [USB_SPEED_SUPER_PLUS] = 10000};
  return speed < ARRAY_SIZE(kSpeeds) ? kSpeeds[speed] : 0;
}
static const char *driver_of(struct usb_device *device) {
  struct usb_host_config *config = device->actconfig;
  for (int i = 0; config && i < config->desc.bNumInterfaces; i++) {
    struct usb_interface *interface = config->interface[i];
    if (interface && interface->dev.driver) return interface->dev.driver->name;
  }
  return "-";
}
static int describe(struct usb_device *device, void *data) {
  struct usb_search *search = data;
  if (search->left-- > 0) return 0;
  struct shim_usb_info *out = search->out;
  *out = (struct shim_usb_info){.vendor = le16_to_cpu(device->descriptor.idVendor),
                                .id = le16_to_cpu(device->descriptor.idProduct),
                                .speed = megabits(device->speed)};
  strscpy(out->name, dev_name(&device->dev), sizeof(out->name));
  strscpy(out->driver, driver_of(device), sizeof(out->driver));
  snprintf(out->text, sizeof(out->text), "%s %s", device->manufacturer ?: "", device->product ?: "");
  return 1;
}
int shim_usb_info(int index, struct shim_usb_info *out) {
  struct usb_search search = {index, out};
  shim_enter();
  return usb_for_each_dev(&search, describe) == 1 ? 0 : -ENODEV;  // an error where the USB core did not start
}
