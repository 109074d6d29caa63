// SPDX-License-Identifier: GPL-2.0-or-later
// The device model as far as drivers look: names, reference counts without an end, and buses that
// match and probe (virtio). There is no sysfs, no uevents, no hotplug notifier.
#include <linux/device/class.h>
#include <linux/cpuhotplug.h>
#include <linux/moduleparam.h>
#include <linux/sysfs.h>

#include "drivers/linux/shim/shim.h"

enum { kMaxRows = 64 };
static struct device *devices[kMaxRows];
static struct device_driver *drivers[kMaxRows];
static int device_count, driver_count;

int dev_set_name(struct device *device, const char *format, ...) {
  va_list args;
  va_start(args, format);
  char *name = kvasprintf(GFP_KERNEL, format, args);
  va_end(args);
  if (!name) return -ENOMEM;
  kfree_const(device->kobj.name);
  device->kobj.name = name;
  return 0;
}
void device_initialize(struct device *device) {
  kref_init(&device->kobj.kref);
  INIT_LIST_HEAD(&device->devres_head);
  mutex_init(&device->mutex);
}
struct device *get_device(struct device *device) {
  if (device) kref_get(&device->kobj.kref);
  return device;
}
static void release(struct kref *reference) {
  struct device *device = container_of(container_of(reference, struct kobject, kref), struct device, kobj);
  if (device->release) return device->release(device);
  if (device->type && device->type->release) return device->type->release(device);
  if (device->class && device->class->dev_release) device->class->dev_release(device);
}
void put_device(struct device *device) {
  if (device) kref_put(&device->kobj.kref, release);
}

static void try_bind(struct device *device, struct device_driver *driver) {
  if (!device->bus || device->driver || device->bus != driver->bus || !device->bus->match(device, driver)) return;
  device->driver = driver;
  int error = device->bus->probe ? device->bus->probe(device) : driver->probe(device);
  if (!error) return;
  dev_err(device, "%s could not start the device: error %d\n", driver->name, -error);
  device->driver = NULL;
}
int device_add(struct device *device) {
  if (device->class && device->class->dev_groups == NULL && !device->bus) return 0;
  if (!device->bus) return 0;
  if (device_count == kMaxRows) return -ENOSPC;
  devices[device_count++] = device;
  for (int i = 0; i < driver_count; i++) try_bind(device, drivers[i]);
  return 0;
}
void device_release_driver(struct device *device) {
  if (!device->driver) return;
  if (device->bus && device->bus->remove) device->bus->remove(device);
  device->driver = NULL;
}
void device_del(struct device *device) {
  device_release_driver(device);
  for (int i = 0; i < device_count; i++) {
    if (devices[i] == device) devices[i] = devices[--device_count];
  }
}
void device_unregister(struct device *device) {
  device_del(device);
  put_device(device);
}
int driver_register(struct device_driver *driver) {
  if (driver_count == kMaxRows) return -ENOSPC;
  drivers[driver_count++] = driver;
  for (int i = 0; i < device_count; i++) try_bind(devices[i], driver);
  return 0;
}
void driver_unregister(struct device_driver *driver) {
  for (int i = 0; i < device_count; i++) {
    if (devices[i]->driver == driver) device_release_driver(devices[i]);
  }
}
int bus_register(struct bus_type *bus) { return 0; }
void bus_unregister(struct bus_type *bus) {}
struct class *__class_create(struct module *owner, const char *name, struct lock_class_key *key) {
  struct class *class = kzalloc(sizeof(*class), GFP_KERNEL);
  if (!class) return ERR_PTR(-ENOMEM);
  class->name = name;
  return class;
}
void class_destroy(struct class *class) { kfree(class); }
int devm_add_action(struct device *device, void (*action)(void *), void *data) { return 0; }  // run at unbind: never
bool device_remove_file_self(struct device *device, const struct device_attribute *attribute) { return true; }
int kobject_uevent_env(struct kobject *object, enum kobject_action action, char *environment[]) { return 0; }
int add_uevent_var(struct kobj_uevent_env *environment, const char *format, ...) { return 0; }

// One CPU that never comes or goes.
int __cpuhp_setup_state(enum cpuhp_state state, const char *name, bool invoke, int (*startup)(unsigned int),
                        int (*teardown)(unsigned int), bool multi_instance) {
  return state == CPUHP_AP_ONLINE_DYN ? CPUHP_AP_ONLINE_DYN + 1 : 0;
}
void __cpuhp_remove_state(enum cpuhp_state state, bool invoke) {}
int __cpuhp_state_add_instance(enum cpuhp_state state, struct hlist_node *node, bool invoke) { return 0; }
int __cpuhp_state_remove_instance(enum cpuhp_state state, struct hlist_node *node, bool invoke) { return 0; }
struct cpumask __cpu_online_mask = {.bits = {1}};

// Module parameters keep their defaults: nothing sets them.
const struct kernel_param_ops param_ops_int, param_ops_uint, param_ops_ulong, param_ops_bool, param_ops_byte,
    param_array_ops;
int param_set_uint(const char *value, const struct kernel_param *parameter) { return -EPERM; }
int param_get_uint(char *out, const struct kernel_param *parameter) { return -EPERM; }
int param_set_uint_minmax(const char *value, const struct kernel_param *parameter, unsigned int least,
                          unsigned int most) {
  return -EPERM;
}
int __sysfs_match_string(const char *const *list, size_t count, const char *text) {
  for (size_t i = 0; i < count && list[i]; i++) {
    if (sysfs_streq(list[i], text)) return i;
  }
  return -EINVAL;
}
