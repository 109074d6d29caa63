// SPDX-License-Identifier: GPL-2.0-or-later
// The device model as far as drivers use it: reference counts, the tree, buses that match and
// probe, classes. There is no sysfs, no uevents and no user space, so attributes and events go
// nowhere.
#include <linux/device/class.h>
#include <linux/component.h>
#include <linux/cpuhotplug.h>
#include <linux/platform_device.h>
#include <linux/property.h>

#include "drivers/linux/shim/shim.h"

// The data that Linux keeps behind device->p, bus->p and class->p, which only the driver core may
// touch.
struct device_private {
  struct device *device;
  struct list_head on_bus, in_class, sibling, children;
};
struct subsys_private {
  struct list_head every, devices, drivers, interfaces;
  const void *owner;  // the bus or the class
};
struct driver_private {
  struct list_head on_bus;
  struct device_driver *driver;
};
static LIST_HEAD(subsystems);

void devres_release_all(struct device *device);  // drivers/base/devres.c

static struct subsys_private *subsystem_of(const void *owner) {
  struct subsys_private *one;
  list_for_each_entry(one, &subsystems, every) {
    if (one->owner == owner) return one;
  }
  return NULL;
}
static struct subsys_private *add_subsystem(const void *owner) {
  struct subsys_private *one = subsystem_of(owner) ?: kzalloc(sizeof(*one), GFP_KERNEL);
  if (!one || one->owner) return one;
  one->owner = owner;
  INIT_LIST_HEAD(&one->devices);
  INIT_LIST_HEAD(&one->drivers);
  INIT_LIST_HEAD(&one->interfaces);
  list_add_tail(&one->every, &subsystems);
  return one;
}
static struct device_private *private_of(struct device *device) {
  if (device->p) return device->p;
  struct device_private *p = kzalloc(sizeof(*p), GFP_KERNEL);
  if (!p) return NULL;
  p->device = device;
  INIT_LIST_HEAD(&p->on_bus);
  INIT_LIST_HEAD(&p->in_class);
  INIT_LIST_HEAD(&p->sibling);
  INIT_LIST_HEAD(&p->children);
  return device->p = p;
}

// ---- names and life ----
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
const char *dev_driver_string(const struct device *device) {
  if (device->driver) return device->driver->name;
  return device->bus ? device->bus->name : device->class ? device->class->name : "";
}
void device_initialize(struct device *device) {
  kref_init(&device->kobj.kref);
  INIT_LIST_HEAD(&device->dma_pools);
  spin_lock_init(&device->devres_lock);
  INIT_LIST_HEAD(&device->devres_head);
  mutex_init(&device->mutex);
}
struct device *get_device(struct device *device) {
  if (device) kref_get(&device->kobj.kref);
  return device;
}
static void release(struct kref *reference) {
  struct device *device = container_of(container_of(reference, struct kobject, kref), struct device, kobj);
  const char *name = device->kobj.name;
  struct device_private *p = device->p;
  devres_release_all(device);
  if (device->release) {
    device->release(device);  // frees the device
  } else if (device->type && device->type->release) {
    device->type->release(device);
  } else if (device->class && device->class->dev_release) {
    device->class->dev_release(device);
  }
  kfree(p);
  kfree_const(name);
}
void put_device(struct device *device) {
  if (device) kref_put(&device->kobj.kref, release);
}

// ---- walking: over a copy of the list, so that a visitor may add and remove devices ----
static int visit(struct list_head *list, size_t node, int (*call)(struct device *, void *), void *data) {
  struct list_head *at;
  int count = 0, used = 0, result = 0;
  list_for_each(at, list) count++;
  struct device **copy = kmalloc_array(count ?: 1, sizeof(*copy), GFP_KERNEL);
  if (!copy) return -ENOMEM;
  list_for_each(at, list) copy[used++] = get_device(((struct device_private *)((char *)at - node))->device);
  for (int i = 0; i < used; i++) {
    if (!result) result = call(copy[i], data);
    put_device(copy[i]);
  }
  kfree(copy);
  return result;
}
#define VISIT(list, member, call, data) visit(list, offsetof(struct device_private, member), call, data)

int device_for_each_child(struct device *parent, void *data, int (*call)(struct device *, void *)) {
  return parent->p ? VISIT(&parent->p->children, sibling, call, data) : 0;
}
int bus_for_each_dev(struct bus_type *bus, struct device *start, void *data, int (*call)(struct device *, void *)) {
  struct subsys_private *one = subsystem_of(bus);
  return one ? VISIT(&one->devices, on_bus, call, data) : -EINVAL;
}
struct search {
  int (*match)(struct device *, const void *);
  const void *data;
  struct device *found;
};
static int look(struct device *device, void *data) {
  struct search *search = data;
  if (!search->match(device, search->data)) return 0;
  search->found = get_device(device);
  return 1;
}
struct device *bus_find_device(struct bus_type *bus, struct device *start, const void *data,
                               int (*match)(struct device *, const void *)) {
  struct search search = {match, data};
  bus_for_each_dev(bus, start, &search, look);
  return search.found;
}
struct device *class_find_device(struct class *class, struct device *start, const void *data,
                                 int (*match)(struct device *, const void *)) {
  struct search search = {match, data};
  struct subsys_private *one = subsystem_of(class);
  if (one) VISIT(&one->devices, in_class, look, &search);
  return search.found;
}
int bus_for_each_drv(struct bus_type *bus, struct device_driver *start, void *data,
                     int (*call)(struct device_driver *, void *)) {
  struct subsys_private *one = subsystem_of(bus);
  struct driver_private *row, *next;
  int result = 0;
  if (!one) return -EINVAL;
  list_for_each_entry_safe(row, next, &one->drivers, on_bus) {
    if (!result) result = call(row->driver, data);
  }
  return result;
}
int device_match_name(struct device *device, const void *name) { return !strcmp(dev_name(device), name); }
int device_match_fwnode(struct device *device, const void *node) { return node && dev_fwnode(device) == node; }
int device_match_devt(struct device *device, const void *number) { return device->devt == *(const dev_t *)number; }

// ---- binding ----
static int try_bind(struct device *device, struct device_driver *driver) {
  if (device->driver || device->bus != driver->bus || (device->bus->match && !device->bus->match(device, driver)))
    return 0;
  device->driver = driver;
  int error = device->bus->probe ? device->bus->probe(device) : driver->probe ? driver->probe(device) : 0;
  if (!error) return 1;
  // "Not mine" is an answer, not a failure.
  if (error != -ENODEV && error != -ENXIO)
    dev_err(device, "%s could not start the device: error %d\n", driver->name, -error);
  devres_release_all(device);
  device->driver = NULL;
  return 0;
}
static int bind_any(struct device_driver *driver, void *device) { return try_bind(device, driver); }
static int bind_driver(struct device *device, void *driver) {
  try_bind(device, driver);
  return 0;
}
static int attach_one(struct device *device, void *data) {
  return device_attach(device) < 0;
}
int device_attach(struct device *device) {
  if (!device->bus) return 0;
  return device->driver ? 1 : bus_for_each_drv(device->bus, NULL, device, bind_any) > 0;
}
int device_bind_driver(struct device *device) { return 0; }  // its driver is set and has probed it
int driver_attach(struct device_driver *driver) { return bus_for_each_dev(driver->bus, NULL, driver, bind_driver); }
int bus_rescan_devices(struct bus_type *bus) { return bus_for_each_dev(bus, NULL, NULL, attach_one); }
void device_release_driver(struct device *device) {
  struct device_driver *driver = device->driver;
  if (!driver) return;
  if (device->bus && device->bus->remove) {
    device->bus->remove(device);
  } else if (driver->remove) {
    driver->remove(device);
  }
  devres_release_all(device);
  device->driver = NULL;
}
int device_reprobe(struct device *device) {
  device_release_driver(device);
  return device_attach(device);
}

// ---- adding and removing ----
int device_add(struct device *device) {
  struct device_private *p = private_of(device), *above = device->parent ? private_of(device->parent) : NULL;
  struct subsys_private *bus = subsystem_of(device->bus), *class = subsystem_of(device->class);
  struct class_interface *interface;
  if (!p || (device->parent && !above)) return -ENOMEM;
  if (device->init_name) {
    dev_set_name(device, "%s", device->init_name);
    device->init_name = NULL;
  }
  get_device(device);
  if (above) {
    get_device(device->parent);
    list_add_tail(&p->sibling, &above->children);
  }
  device->kobj.state_in_sysfs = 1;  // device_is_registered tests this
  if (bus) list_add_tail(&p->on_bus, &bus->devices);
  if (class) list_add_tail(&p->in_class, &class->devices);
  int bound = bus ? device_attach(device) : 0;
  if (bound < 0 || !class) return min(bound, 0);
  list_for_each_entry(interface, &class->interfaces, node) {
    if (interface->add_dev) interface->add_dev(device, interface);
  }
  return 0;
}
int device_register(struct device *device) {
  device_initialize(device);
  return device_add(device);
}
void device_del(struct device *device) {
  struct device_private *p = device->p;
  if (!p || !device->kobj.state_in_sysfs) return;
  list_del_init(&p->in_class);
  list_del_init(&p->on_bus);
  device_release_driver(device);
  list_del_init(&p->sibling);
  device->kobj.state_in_sysfs = 0;
  if (device->parent) put_device(device->parent);
  put_device(device);
}
void device_unregister(struct device *device) {
  device_del(device);
  put_device(device);
}

// ---- buses, drivers, classes ----
int driver_register(struct device_driver *driver) {
  struct subsys_private *bus = add_subsystem(driver->bus);
  struct driver_private *row = bus ? kzalloc(sizeof(*row), GFP_KERNEL) : NULL;
  if (!row) return -ENOMEM;
  row->driver = driver;
  driver->p = row;
  list_add_tail(&row->on_bus, &bus->drivers);
  return driver_attach(driver);
}
static int leave_driver(struct device *device, void *driver) {
  if (device->driver == driver) device_release_driver(device);
  return 0;
}
void driver_unregister(struct device_driver *driver) {
  if (!driver->p) return;
  bus_for_each_dev(driver->bus, NULL, driver, leave_driver);
  list_del(&driver->p->on_bus);
  kfree(driver->p);
  driver->p = NULL;
}
int bus_register(struct bus_type *bus) { return add_subsystem(bus) ? 0 : -ENOMEM; }
void bus_unregister(struct bus_type *bus) {}
int __class_register(struct class *class, struct lock_class_key *key) { return add_subsystem(class) ? 0 : -ENOMEM; }
void class_unregister(struct class *class) {}
struct class *__class_create(struct module *owner, const char *name, struct lock_class_key *key) {
  struct class *class = kzalloc(sizeof(*class), GFP_KERNEL);
  if (!class || !add_subsystem(class)) return ERR_PTR(-ENOMEM);
  class->name = name;
  return class;
}
void class_destroy(struct class *class) {}  // classes stay
int class_interface_register(struct class_interface *interface) {
  struct subsys_private *class = add_subsystem(interface->class);
  if (!class) return -ENOMEM;
  list_add_tail(&interface->node, &class->interfaces);
  return 0;
}
static void free_device(struct device *device) { kfree(device); }
struct device *device_create(struct class *class, struct device *parent, dev_t number, void *data, const char *format,
                             ...) {
  struct device *device = kzalloc(sizeof(*device), GFP_KERNEL);
  if (!device) return ERR_PTR(-ENOMEM);
  va_list args;
  va_start(args, format);
  device->init_name = kvasprintf(GFP_KERNEL, format, args);
  va_end(args);
  device->class = class;
  device->parent = parent;
  device->devt = number;
  device->release = free_device;
  dev_set_drvdata(device, data);
  const char *name = device->init_name;
  int error = device_register(device);
  kfree(name);
  if (!error) return device;
  put_device(device);
  return ERR_PTR(error);
}
void device_destroy(struct class *class, dev_t number) {
  struct device *device = class_find_device(class, NULL, &number, device_match_devt);
  if (!device) return;
  put_device(device);
  device_unregister(device);
}

// ---- functions for sysfs, user space, power management or a device tree ----
int bus_register_notifier(struct bus_type *bus, struct notifier_block *block) { return 0; }  // makes sysfs files
int bus_unregister_notifier(struct bus_type *bus, struct notifier_block *block) { return 0; }
int device_create_file(struct device *device, const struct device_attribute *attribute) { return 0; }
void device_remove_file(struct device *device, const struct device_attribute *attribute) {}
bool device_remove_file_self(struct device *device, const struct device_attribute *attribute) { return true; }
int device_create_bin_file(struct device *device, const struct bin_attribute *attribute) { return 0; }
void device_remove_bin_file(struct device *device, const struct bin_attribute *attribute) {}
int driver_create_file(struct device_driver *driver, const struct driver_attribute *attribute) { return 0; }
void driver_remove_file(struct device_driver *driver, const struct driver_attribute *attribute) {}
int kobject_uevent(struct kobject *object, enum kobject_action action) { return 0; }
int kobject_uevent_env(struct kobject *object, enum kobject_action action, char *environment[]) { return 0; }
int add_uevent_var(struct kobj_uevent_env *environment, const char *format, ...) { return 0; }
char *kobject_get_path(const struct kobject *object, gfp_t flags) { return kstrdup(object->name ?: "", flags); }
int component_add(struct device *device, const struct component_ops *operations) { return 0; }
void component_del(struct device *device, const struct component_ops *operations) {}
// Would order suspending; a link is never followed.
struct device_link *device_link_add(struct device *consumer, struct device *supplier, u32 flags) {
  static struct device_link link;
  return &link;
}
void device_link_remove(void *consumer, struct device *supplier) {}
struct fwnode_handle *__dev_fwnode(struct device *device) { return NULL; }
struct fwnode_handle *fwnode_find_reference(const struct fwnode_handle *node, const char *name, unsigned int index) {
  return ERR_PTR(-ENOENT);
}
int fwnode_property_read_string(const struct fwnode_handle *node, const char *name, const char **value) {
  return -EINVAL;
}
int device_property_read_string(struct device *device, const char *name, const char **value) { return -EINVAL; }
int device_create_managed_software_node(struct device *device, const struct property_entry *properties,
                                        const struct software_node *parent) {
  return 0;
}
void device_set_of_node_from_dev(struct device *device, const struct device *other) {}

// Platform devices that a controller makes for drivers that Marrow does not have (Intel's USB role
// switch).
struct bus_type platform_bus_type = {.name = "platform"};
struct device platform_bus = {.init_name = "platform"};
static void free_platform(struct device *device) { kfree(to_platform_device(device)); }
struct platform_device *platform_device_alloc(const char *name, int id) {
  struct platform_device *device = kzalloc(sizeof(*device), GFP_KERNEL);
  if (!device) return NULL;
  device->name = name;
  device_initialize(&device->dev);
  device->dev.release = free_platform;
  return device;
}
int platform_device_add_resources(struct platform_device *device, const struct resource *list, unsigned int count) {
  return 0;
}
int platform_device_add(struct platform_device *device) { return device_add(&device->dev); }
void platform_device_put(struct platform_device *device) { put_device(&device->dev); }
void platform_device_unregister(struct platform_device *device) { device_unregister(&device->dev); }

// There is one CPU, which never comes or goes.
int __cpuhp_setup_state(enum cpuhp_state state, const char *name, bool invoke, int (*startup)(unsigned int),
                        int (*teardown)(unsigned int), bool multi_instance) {
  return state == CPUHP_AP_ONLINE_DYN ? CPUHP_AP_ONLINE_DYN + 1 : 0;
}
void __cpuhp_remove_state(enum cpuhp_state state, bool invoke) {}
int __cpuhp_state_add_instance(enum cpuhp_state state, struct hlist_node *node, bool invoke) { return 0; }
int __cpuhp_state_remove_instance(enum cpuhp_state state, struct hlist_node *node, bool invoke) { return 0; }
struct cpumask __cpu_online_mask = {.bits = {1}};

int __sysfs_match_string(const char *const *list, size_t count, const char *text) {
  for (size_t i = 0; i < count && list[i]; i++) {
    if (sysfs_streq(list[i], text)) return i;
  }
  return -EINVAL;
}
