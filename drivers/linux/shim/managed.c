// SPDX-License-Identifier: GPL-2.0-or-later
// Resources that end with their device: wrappers over Linux's own drivers/base/devres.c.
#include <linux/dma-mapping.h>
#include <linux/etherdevice.h>
#include <linux/interrupt.h>
#include <linux/pci.h>

#include "drivers/linux/shim/shim.h"

struct irq_use {
  unsigned int irq;
  void *device;
};
static void end_irq(struct device *device, void *resource) {
  struct irq_use *use = resource;
  free_irq(use->irq, use->device);
}
static int same_irq(struct device *device, void *resource, void *wanted) {
  return !memcmp(resource, wanted, sizeof(struct irq_use));
}
int devm_request_threaded_irq(struct device *device, unsigned int irq, irq_handler_t handler, irq_handler_t thread,
                              unsigned long flags, const char *name, void *argument) {
  struct irq_use *use = devres_alloc(end_irq, sizeof(*use), GFP_KERNEL);
  if (!use) return -ENOMEM;
  int error = request_threaded_irq(irq, handler, thread, flags, name, argument);
  if (error) {
    devres_free(use);
    return error;
  }
  *use = (struct irq_use){irq, argument};
  devres_add(device, use);
  return 0;
}
void devm_free_irq(struct device *device, unsigned int irq, void *argument) {
  struct irq_use wanted = {irq, argument};
  devres_release(device, end_irq, same_irq, &wanted);
}

struct dma_use {
  size_t size;
  void *memory;
  dma_addr_t handle;
};
static void end_dma(struct device *device, void *resource) {
  struct dma_use *use = resource;
  dma_free_attrs(device, use->size, use->memory, use->handle, 0);
}
void *dmam_alloc_attrs(struct device *device, size_t size, dma_addr_t *handle, gfp_t flags, unsigned long attrs) {
  struct dma_use *use = devres_alloc(end_dma, sizeof(*use), GFP_KERNEL);
  void *memory = use ? dma_alloc_attrs(device, size, handle, flags, attrs) : NULL;
  if (!memory) {
    devres_free(use);
    return NULL;
  }
  *use = (struct dma_use){size, memory, *handle};
  devres_add(device, use);
  return memory;
}

static void end_netdev(void *device) { free_netdev(device); }
struct net_device *devm_alloc_etherdev_mqs(struct device *device, int private_bytes, unsigned int tx, unsigned int rx) {
  struct net_device *card = alloc_etherdev_mqs(private_bytes, tx, rx);
  if (card && devm_add_action_or_reset(device, end_netdev, card)) return NULL;
  return card;
}

// Enabling a function is not undone; unbind() in pci.c turns bus mastering off.
int pcim_enable_device(struct pci_dev *device) { return pci_enable_device(device); }
void pcim_pin_device(struct pci_dev *device) {}
int pcim_set_mwi(struct pci_dev *device) { return pci_set_mwi(device); }

// Port and memory ranges are not shared here, so claims always succeed.
struct resource ioport_resource = {.name = "ports", .end = 0xffff, .flags = IORESOURCE_IO};
struct resource iomem_resource = {.name = "memory", .end = -1, .flags = IORESOURCE_MEM};
struct resource *__devm_request_region(struct device *device, struct resource *parent, resource_size_t start,
                                       resource_size_t count, const char *name) {
  return parent;
}
void __devm_release_region(struct device *device, struct resource *parent, resource_size_t start,
                           resource_size_t count) {}
void *devm_memremap(struct device *device, resource_size_t start, size_t size, unsigned long flags) {
  return shim_host_map_device(start, size, 0) ?: ERR_PTR(-ENOMEM);
}
