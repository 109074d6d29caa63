// SPDX-License-Identifier: GPL-2.0-or-later
// Linux for arm64 asks device trees. Its drivers are given none: every device was found on a bus that
// can be asked, so each question is answered with "there is no such thing".
#include <linux/clk-provider.h>
#include <linux/clk.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/of_device.h>
#include <linux/of_mdio.h>
#include <linux/of_platform.h>
#include <linux/property.h>

#include "drivers/linux/shim/shim.h"

struct device_node *of_find_node_with_property(struct device_node *from, const char *name) { return NULL; }
struct device_node *of_get_next_available_child(const struct device_node *node, struct device_node *before) { return NULL; }
struct device_node *of_get_next_child(const struct device_node *node, struct device_node *before) { return NULL; }
struct device_node *of_get_parent(const struct device_node *node) { return NULL; }
struct property *of_find_property(const struct device_node *node, const char *name, int *length) { return NULL; }
const char *of_prop_next_string(struct property *property, const char *before) { return NULL; }
int of_property_read_string(const struct device_node *node, const char *name, const char **out) { return -EINVAL; }
int of_property_read_variable_u32_array(const struct device_node *node, const char *name, u32 *out, size_t least,
                                        size_t most) {
  return -EINVAL;
}
int __of_parse_phandle_with_args(const struct device_node *node, const char *list, const char *cells, int count, int index,
                                 struct of_phandle_args *out) {
  return -ENOENT;
}
bool of_device_is_available(const struct device_node *node) { return false; }
int of_device_is_compatible(const struct device_node *node, const char *with) { return 0; }
int of_device_uevent_modalias(struct device *device, struct kobj_uevent_env *environment) { return -ENODEV; }
const struct of_device_id *of_match_device(const struct of_device_id *rows, const struct device *device) { return NULL; }
struct platform_device *of_find_device_by_node(struct device_node *node) { return NULL; }
int of_address_to_resource(struct device_node *node, int index, struct resource *out) { return -EINVAL; }
int __of_mdiobus_register(struct mii_bus *bus, struct device_node *node, struct module *owner) {
  return __mdiobus_register(bus, owner);
}
int device_match_of_node(struct device *device, const void *node) { return 0; }
void device_set_node(struct device *device, struct fwnode_handle *node) {}
int device_property_read_u32_array(struct device *device, const char *name, u32 *out, size_t count) { return -EINVAL; }

// Clocks that software switches exist on boards alone.
struct clk *devm_clk_get_optional_enabled(struct device *device, const char *name) { return NULL; }
const char *__clk_get_name(const struct clk *clock) { return "none"; }

int dev_err_probe(const struct device *device, int error, const char *format, ...) {
  va_list args;
  va_start(args, format);
  struct va_format line = {.fmt = format, .va = &args};
  if (error != -EPROBE_DEFER) dev_err(device, "error %pe: %pV", ERR_PTR(error), &line);
  va_end(args);
  return error;
}
