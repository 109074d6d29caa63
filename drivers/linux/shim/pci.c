// SPDX-License-Identifier: GPL-2.0-or-later
// PCI: the machine's functions as pci_dev, matched with each driver as it registers. Interrupts use
// MSI-X, then MSI, then the INTx line, as the driver allows.
#include <linux/blk-mq-pci.h>
#include <linux/blk-mq.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/msi.h>

#include "drivers/linux/shim/shim.h"

void devres_release_all(struct device *device);  // drivers/base/devres.c

enum { kMaxDevices = 256, kMaxVectors = 16 };

struct function {
  struct pci_dev device;
  struct pci_bus bus;
  unsigned int place;         // the bus with its segment, as host.h has it
  int vectors[kMaxVectors], vector_count;
  struct msi_msg messages[kMaxVectors];  // one per vector
  u16 entries[kMaxVectors];  // indices into the MSI-X table, one per vector
  char __iomem *table;
  u32 saved[PCI_STD_HEADER_SIZEOF / 4];  // by pci_save_state
  u16 saved_control;                     // PCI Express device control
  const char *state, *driver_name;
};
static struct function *functions[kMaxDevices];
struct bus_type pci_bus_type = {.name = "pci"};  // only a name: functions are bound below
// The kernel's linker script gathers Linux's final fix-ups between these.
extern struct pci_fixup linux_fixups_begin[], linux_fixups_end[];
static int function_count;

static struct function *of(const struct pci_dev *device) { return container_of((struct pci_dev *)device, struct function, device); }
static u32 config(const struct pci_dev *device, int offset, int width) {
  return shim_host_pci_read(of(device)->place, device->devfn, offset, width);
}
static void set_config(const struct pci_dev *device, int offset, int width, u32 value) {
  shim_host_pci_write(of(device)->place, device->devfn, offset, width, value);
}

// ---- configuration space ----
int pci_read_config_byte(const struct pci_dev *device, int offset, u8 *value) {
  *value = config(device, offset, 1);
  return 0;
}
int pci_read_config_word(const struct pci_dev *device, int offset, u16 *value) {
  *value = config(device, offset, 2);
  return 0;
}
int pci_read_config_dword(const struct pci_dev *device, int offset, u32 *value) {
  *value = config(device, offset, 4);
  return 0;
}
int pci_write_config_byte(const struct pci_dev *device, int offset, u8 value) {
  set_config(device, offset, 1, value);
  return 0;
}
int pci_write_config_word(const struct pci_dev *device, int offset, u16 value) {
  set_config(device, offset, 2, value);
  return 0;
}
int pci_write_config_dword(const struct pci_dev *device, int offset, u32 value) {
  set_config(device, offset, 4, value);
  return 0;
}

// ---- capabilities; the length of the chain is limited, because a device may be faulty ----
static u8 next_capability(const struct pci_dev *device, u8 at, int id) {
  for (int hops = 0; at >= 0x40 && hops < 48; hops++, at = config(device, at + 1, 1) & ~3) {
    if (config(device, at, 1) == id) return at;
  }
  return 0;
}
u8 pci_find_capability(struct pci_dev *device, int id) {
  if (!(config(device, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST)) return 0;
  return next_capability(device, config(device, PCI_CAPABILITY_LIST, 1) & ~3, id);
}
u8 pci_find_next_capability(struct pci_dev *device, u8 at, int id) {
  return next_capability(device, config(device, at + 1, 1) & ~3, id);
}
u16 pci_find_ext_capability(struct pci_dev *device, int id) {
  int at = 0x100;
  for (int hops = 0; at >= 0x100 && hops < 960; hops++) {
    u32 header = config(device, at, 4);
    if (header == 0 || header == ~0u) return 0;
    if (PCI_EXT_CAP_ID(header) == id) return at;
    at = PCI_EXT_CAP_NEXT(header);
  }
  return 0;
}
int pcie_capability_read_word(struct pci_dev *device, int offset, u16 *value) {
  *value = 0;
  if (!device->pcie_cap) return 0;
  return pci_read_config_word(device, device->pcie_cap + offset, value);
}
int pcie_capability_write_word(struct pci_dev *device, int offset, u16 value) {
  if (!device->pcie_cap) return 0;
  return pci_write_config_word(device, device->pcie_cap + offset, value);
}
int pcie_capability_clear_and_set_word_locked(struct pci_dev *device, int offset, u16 clear, u16 set) {
  u16 value;
  pcie_capability_read_word(device, offset, &value);
  return pcie_capability_write_word(device, offset, (value & ~clear) | set);
}
int pcie_capability_clear_and_set_word_unlocked(struct pci_dev *device, int offset, u16 clear, u16 set) {
  return pcie_capability_clear_and_set_word_locked(device, offset, clear, set);
}

// ---- enabling ----
static void change_command(struct pci_dev *device, u16 clear, u16 set) {
  u16 command = config(device, PCI_COMMAND, 2);
  set_config(device, PCI_COMMAND, 2, (command & ~clear) | set);
}
// Counted, because drivers call pci_is_enabled.
int pci_enable_device_mem(struct pci_dev *device) {
  atomic_inc(&device->enable_cnt);
  change_command(device, 0, PCI_COMMAND_MEMORY);
  return 0;
}
int pci_enable_device(struct pci_dev *device) {
  atomic_inc(&device->enable_cnt);
  change_command(device, 0, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
  return 0;
}
void pci_disable_device(struct pci_dev *device) {
  if (atomic_dec_return(&device->enable_cnt) == 0) change_command(device, PCI_COMMAND_MASTER, 0);
}
void pci_set_master(struct pci_dev *device) { change_command(device, 0, PCI_COMMAND_MASTER); }
void pci_clear_master(struct pci_dev *device) { change_command(device, PCI_COMMAND_MASTER, 0); }
bool pci_device_is_present(struct pci_dev *device) { return config(device, PCI_VENDOR_ID, 2) != 0xffff; }
int pci_save_state(struct pci_dev *device) {
  struct function *f = of(device);
  for (int i = 0; i < ARRAY_SIZE(f->saved); i++) f->saved[i] = config(device, i * 4, 4);
  pcie_capability_read_word(device, PCI_EXP_DEVCTL, &f->saved_control);
  device->state_saved = true;
  return 0;
}
static void write_msix(struct pci_dev *device, u8 cap);
static void write_msi(struct pci_dev *device, u8 cap);
// Restores from the end, so that the BARs are set before the command register lets them respond.
void pci_restore_state(struct pci_dev *device) {
  struct function *f = of(device);
  if (!device->state_saved) return;
  for (int i = ARRAY_SIZE(f->saved) - 1; i >= 0; i--) set_config(device, i * 4, 4, f->saved[i]);
  pcie_capability_write_word(device, PCI_EXP_DEVCTL, f->saved_control);
  if (device->msix_enabled) write_msix(device, pci_find_capability(device, PCI_CAP_ID_MSIX));
  if (device->msi_enabled) write_msi(device, pci_find_capability(device, PCI_CAP_ID_MSI));
}
bool pci_dev_run_wake(struct pci_dev *device) { return false; }
int pci_enable_wake(struct pci_dev *device, pci_power_t state, bool enable) { return 0; }
int pci_prepare_to_sleep(struct pci_dev *device) { return -EIO; }

int pci_set_mwi(struct pci_dev *device) {
  change_command(device, 0, PCI_COMMAND_INVALIDATE);
  return 0;
}
void pci_clear_mwi(struct pci_dev *device) { change_command(device, PCI_COMMAND_INVALIDATE, 0); }
void pci_intx(struct pci_dev *device, int enable) {
  change_command(device, enable ? PCI_COMMAND_INTX_DISABLE : 0, enable ? 0 : PCI_COMMAND_INTX_DISABLE);
}
int pci_set_power_state(struct pci_dev *device, pci_power_t state) {
  u8 cap = pci_find_capability(device, PCI_CAP_ID_PM);
  if (!cap || state > PCI_D3hot) return -EIO;
  u16 control = config(device, cap + PCI_PM_CTRL, 2);
  set_config(device, cap + PCI_PM_CTRL, 2, (control & ~PCI_PM_CTRL_STATE_MASK) | state);
  if (device->current_state == PCI_D3hot) msleep(10);  // PCI Power Management 1.2, 5.4
  device->current_state = state;
  return 0;
}
pci_power_t pci_choose_state(struct pci_dev *device, pm_message_t state) { return PCI_D0; }  // nothing sleeps
int pci_wake_from_d3(struct pci_dev *device, bool enable) { return 0; }
int pcie_set_readrq(struct pci_dev *device, int bytes) {
  return pcie_capability_clear_and_set_word_unlocked(device, PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_READRQ,
                                                     (ffs(bytes) - 8) << 12);
}
int pci_status_get_and_clear_errors(struct pci_dev *device) {
  u16 status = config(device, PCI_STATUS, 2) & PCI_STATUS_ERROR_BITS;
  if (status) set_config(device, PCI_STATUS, 2, status);
  return status;
}
void pcie_print_link_status(struct pci_dev *device) {}

// ---- regions: no two drivers share a device here, so claims always succeed ----
int pci_select_bars(struct pci_dev *device, unsigned long flags) {
  int bars = 0;
  for (int i = 0; i < PCI_STD_NUM_BARS; i++) {
    if (pci_resource_flags(device, i) & flags) bars |= 1 << i;
  }
  return bars;
}
int pci_request_selected_regions(struct pci_dev *device, int bars, const char *name) { return 0; }
int pci_request_selected_regions_exclusive(struct pci_dev *device, int bars, const char *name) { return 0; }
void pci_release_selected_regions(struct pci_dev *device, int bars) {}
int pci_request_regions(struct pci_dev *device, const char *name) { return 0; }
void pci_release_regions(struct pci_dev *device) {}
int pci_request_region(struct pci_dev *device, int bar, const char *name) { return 0; }
void pci_release_region(struct pci_dev *device, int bar) {}
void __iomem *pci_ioremap_bar(struct pci_dev *device, int bar) {
  return ioremap(pci_resource_start(device, bar), pci_resource_len(device, bar));
}
void pcibios_resource_to_bus(struct pci_bus *bus, struct pci_bus_region *region, struct resource *resource) {
  region->start = resource->start;
  region->end = resource->end;
}

// ---- MSI-X and MSI (PCI 3.0, 6.8) ----
static int reserve_vectors(struct function *f, int count) {
  for (f->vector_count = 0; f->vector_count < count; f->vector_count++) {
    int vector = shim_reserve_vector();
    unsigned long address;
    unsigned int data;
    if (vector < 0) return f->vector_count;
    if (shim_host_msi_message(vector, f->place, f->device.devfn, &address, &data)) {
      shim_release_vector(vector);
      return f->vector_count;
    }
    f->vectors[f->vector_count] = vector;
    f->messages[f->vector_count] =
        (struct msi_msg){.address_lo = address, .address_hi = address >> 32, .data = data};
  }
  return count;
}
static void release_vectors(struct function *f) {
  while (f->vector_count > 0) shim_release_vector(f->vectors[--f->vector_count]);
}

// Fills the table, which is masked as a whole meanwhile.
static void write_msix(struct pci_dev *device, u8 cap) {
  struct function *f = of(device);
  u16 control = config(device, cap + PCI_MSIX_FLAGS, 2) | PCI_MSIX_FLAGS_ENABLE;
  set_config(device, cap + PCI_MSIX_FLAGS, 2, control | PCI_MSIX_FLAGS_MASKALL);
  for (int i = 0; i < f->vector_count; i++) {
    char __iomem *entry = f->table + f->entries[i] * PCI_MSIX_ENTRY_SIZE;
    const struct msi_msg *message = &f->messages[i];
    writel(message->address_lo, entry + PCI_MSIX_ENTRY_LOWER_ADDR);
    writel(message->address_hi, entry + PCI_MSIX_ENTRY_UPPER_ADDR);
    writel(message->data, entry + PCI_MSIX_ENTRY_DATA);
    writel(0, entry + PCI_MSIX_ENTRY_VECTOR_CTRL);
  }
  change_command(device, 0, PCI_COMMAND_INTX_DISABLE);
  set_config(device, cap + PCI_MSIX_FLAGS, 2, control & ~PCI_MSIX_FLAGS_MASKALL);
}
// The kinds of interrupts that functions may use, for tests: 3 = MSI-X, MSI and lines; 2 = MSI and
// lines; 1 = lines.
static unsigned int interrupts = 3;
module_param(interrupts, uint, 0);

static int enable_msix(struct pci_dev *device, const u16 *entries, int least, int most) {
  struct function *f = of(device);
  if (interrupts < 3) return -ENOSPC;
  u8 cap = pci_find_capability(device, PCI_CAP_ID_MSIX);
  if (!cap) return -ENOSPC;
  u16 control = config(device, cap + PCI_MSIX_FLAGS, 2);
  u32 table = config(device, cap + PCI_MSIX_TABLE, 4);
  int size = (control & PCI_MSIX_FLAGS_QSIZE) + 1;
  int count = min3(most, size, (int)kMaxVectors);
  if (count < least) return -ENOSPC;
  count = reserve_vectors(f, count);
  if (count < least) {
    release_vectors(f);
    return -ENOSPC;
  }
  char __iomem *base = ioremap(pci_resource_start(device, table & 7) + (table & ~7u), size * PCI_MSIX_ENTRY_SIZE);
  if (!base) {
    release_vectors(f);
    return -ENOMEM;
  }
  f->table = base;
  for (int i = 0; i < count; i++) f->entries[i] = entries ? entries[i] : i;
  write_msix(device, cap);
  device->msix_enabled = 1;
  return count;
}
int pci_enable_msix_range(struct pci_dev *device, struct msix_entry *entries, int least, int most) {
  u16 numbers[kMaxVectors];
  most = min(most, (int)kMaxVectors);
  for (int i = 0; i < most; i++) numbers[i] = entries ? entries[i].entry : i;
  int count = enable_msix(device, numbers, least, most);
  for (int i = 0; entries && i < count; i++) entries[i].vector = of(device)->vectors[i];
  return count;
}
void pci_disable_msix(struct pci_dev *device) {
  u8 cap = pci_find_capability(device, PCI_CAP_ID_MSIX);
  if (!device->msix_enabled) return;
  set_config(device, cap + PCI_MSIX_FLAGS, 2, config(device, cap + PCI_MSIX_FLAGS, 2) & ~PCI_MSIX_FLAGS_ENABLE);
  device->msix_enabled = 0;
  release_vectors(of(device));
  change_command(device, PCI_COMMAND_INTX_DISABLE, 0);
}

static void write_msi(struct pci_dev *device, u8 cap) {
  struct function *f = of(device);
  u16 control = config(device, cap + PCI_MSI_FLAGS, 2);
  const struct msi_msg *message = &f->messages[0];
  set_config(device, cap + PCI_MSI_ADDRESS_LO, 4, message->address_lo);
  if (control & PCI_MSI_FLAGS_64BIT) {
    set_config(device, cap + PCI_MSI_ADDRESS_HI, 4, message->address_hi);
    set_config(device, cap + PCI_MSI_DATA_64, 2, message->data);
  } else {
    set_config(device, cap + PCI_MSI_DATA_32, 2, message->data);
  }
  change_command(device, 0, PCI_COMMAND_INTX_DISABLE);
  set_config(device, cap + PCI_MSI_FLAGS, 2, (control & ~PCI_MSI_FLAGS_QSIZE) | PCI_MSI_FLAGS_ENABLE);
}
// Linux's number of the function's INTx line; 0 = it has none.
static unsigned int line_irq(struct pci_dev *device) {
  int line = device->pin ? shim_host_pin_line(of(device)->place, device->devfn, device->pin) : -EINVAL;
  return line < 0 ? 0 : kShimLineBase + line;
}
int pci_msi_enabled(void) { return interrupts >= 2; }
int pci_enable_msi(struct pci_dev *device) {
  struct function *f = of(device);
  u8 cap = pci_find_capability(device, PCI_CAP_ID_MSI);
  if (!cap || interrupts < 2 || reserve_vectors(f, 1) != 1) return -ENOSPC;
  bool wide = config(device, cap + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_64BIT;
  if (!wide && f->messages[0].address_hi) {  // the device cannot write there
    release_vectors(f);
    return -ENOSPC;
  }
  write_msi(device, cap);
  device->msi_enabled = 1;
  device->irq = f->vectors[0];
  return 0;
}
void pci_disable_msi(struct pci_dev *device) {
  u8 cap = pci_find_capability(device, PCI_CAP_ID_MSI);
  if (!device->msi_enabled) return;
  set_config(device, cap + PCI_MSI_FLAGS, 2, config(device, cap + PCI_MSI_FLAGS, 2) & ~PCI_MSI_FLAGS_ENABLE);
  device->msi_enabled = 0;
  device->irq = line_irq(device);
  release_vectors(of(device));
  change_command(device, PCI_COMMAND_INTX_DISABLE, 0);
}

// Tries in Linux's order: MSI-X, MSI, the line. `affinity` may require that sets of queues are
// counted (nvme).
int pci_alloc_irq_vectors_affinity(struct pci_dev *device, unsigned int least, unsigned int most, unsigned int flags,
                                   struct irq_affinity *affinity) {
  unsigned int reserved = affinity ? affinity->pre_vectors + affinity->post_vectors : 0;
  if (flags & PCI_IRQ_MSIX) {
    int count = enable_msix(device, NULL, least, most);
    if (count > 0) {
      if (affinity && affinity->calc_sets) affinity->calc_sets(affinity, count > reserved ? count - reserved : 0);
      return count;
    }
  }
  if (least > 1) return -ENOSPC;
  if (affinity && affinity->calc_sets) affinity->calc_sets(affinity, 1 > reserved ? 1 - reserved : 0);
  if ((flags & PCI_IRQ_MSI) && pci_enable_msi(device) == 0) return 1;
  if ((flags & PCI_IRQ_LEGACY) && device->irq) return 1;
  return -ENOSPC;
}
void pci_free_irq_vectors(struct pci_dev *device) {
  pci_disable_msix(device);
  pci_disable_msi(device);
}
int pci_irq_vector(struct pci_dev *device, unsigned int number) {
  struct function *f = of(device);
  if (!device->msix_enabled) return number == 0 ? device->irq : -EINVAL;
  return number < f->vector_count ? f->vectors[number] : -EINVAL;
}
int pci_request_irq(struct pci_dev *device, unsigned int number, irq_handler_t handler, irq_handler_t thread, void *id,
                    const char *format, ...) {
  return request_threaded_irq(pci_irq_vector(device, number), handler, thread, IRQF_SHARED, "pci", id);
}
void pci_free_irq(struct pci_dev *device, unsigned int number, void *id) { free_irq(pci_irq_vector(device, number), id); }
const struct cpumask *pci_irq_get_affinity(struct pci_dev *device, int number) { return cpu_online_mask; }
void blk_mq_pci_map_queues(struct blk_mq_queue_map *map, struct pci_dev *device, int offset) { blk_mq_map_queues(map); }

// ---- discovery ----
// The host sizes the BARs once, at boot (kernel/pci); this copies what it found.
static void read_bar(struct pci_dev *device, int index) {
  struct resource *resource = &device->resource[index];
  struct shim_bar bar;
  shim_host_pci_bar(of(device)->place, device->devfn, index, &bar);
  if (bar.kind == SHIM_BAR_NONE) return;
  resource->start = bar.base;
  resource->end = bar.base + bar.bytes - 1;
  resource->flags = bar.kind == SHIM_BAR_PORTS ? IORESOURCE_IO : IORESOURCE_MEM;
  resource->name = dev_name(&device->dev);
}

static void found(unsigned int bus, unsigned int devfn, void *context) {
  if (function_count == kMaxDevices) {
    pr_warn_once("more than %d PCI functions: the rest gets no driver\n", kMaxDevices);
    return;
  }
  struct function *f = kzalloc(sizeof(*f), GFP_KERNEL);
  if (!f) return;
  struct pci_dev *device = &f->device;
  f->place = bus;
  f->bus.number = bus & 0xff;
  if (!shim_set_segment(&f->bus, bus >> 8)) return kfree(f);
  device->bus = &f->bus;
  device->devfn = devfn;
  if ((config(device, PCI_HEADER_TYPE, 1) & 0x7f) != PCI_HEADER_TYPE_NORMAL) return kfree(f);
  device->vendor = config(device, PCI_VENDOR_ID, 2);
  device->device = config(device, PCI_DEVICE_ID, 2);
  device->subsystem_vendor = config(device, PCI_SUBSYSTEM_VENDOR_ID, 2);
  device->subsystem_device = config(device, PCI_SUBSYSTEM_ID, 2);
  device->class = config(device, PCI_CLASS_REVISION, 4) >> 8;
  device->revision = config(device, PCI_CLASS_REVISION, 1);
  device->pin = config(device, PCI_INTERRUPT_PIN, 1);
  device->irq = line_irq(device);
  device->pcie_cap = pci_find_capability(device, PCI_CAP_ID_EXP);
  device->dma_mask = DMA_BIT_MASK(32);
  device->dev.dma_mask = &device->dma_mask;
  device->dev.coherent_dma_mask = DMA_BIT_MASK(32);
  device->error_state = pci_channel_io_normal;
  device->current_state = PCI_D0;
  device->dev.bus = &pci_bus_type;
  device_initialize(&device->dev);
  if (bus >> 8) {
    dev_set_name(&device->dev, "%04x:%02x:%02x.%d", bus >> 8, bus & 0xff, PCI_SLOT(devfn), PCI_FUNC(devfn));
  } else {
    dev_set_name(&device->dev, "%02x:%02x.%d", bus, PCI_SLOT(devfn), PCI_FUNC(devfn));
  }
  for (int i = 0; i < PCI_STD_NUM_BARS; i++) read_bar(device, i);
  functions[function_count++] = f;
}

static void fix(struct pci_dev *device);
int shim_pci_start(void) {
  shim_host_pci_each(found, NULL);
  for (int i = 0; i < function_count; i++) fix(&functions[i]->device);
  return 0;
}

static const struct pci_device_id *match(const struct pci_device_id *row, struct pci_dev *device) {
  for (; row->vendor || row->class_mask; row++) {
    if ((row->vendor == PCI_ANY_ID || row->vendor == device->vendor) &&
        (row->device == PCI_ANY_ID || row->device == device->device) &&
        (row->subvendor == PCI_ANY_ID || row->subvendor == device->subsystem_vendor) &&
        (row->subdevice == PCI_ANY_ID || row->subdevice == device->subsystem_device) &&
        !((row->class ^ device->class) & row->class_mask))
      return row;
  }
  return NULL;
}

const struct pci_device_id *pci_match_id(const struct pci_device_id *rows, struct pci_dev *device) {
  return rows ? match(rows, device) : NULL;
}
// Returns the next function after `from` with these ids, referenced, and releases `from`.
struct pci_dev *pci_get_device(unsigned int vendor, unsigned int id, struct pci_dev *from) {
  const struct pci_device_id wanted[] = {{PCI_DEVICE(vendor, id)}, {}};
  bool passed = !from;
  struct pci_dev *next = NULL;
  for (int i = 0; i < function_count && !next; i++) {
    struct pci_dev *device = &functions[i]->device;
    if (passed && match(wanted, device)) next = device;
    if (device == from) passed = true;
  }
  pci_dev_put(from);
  return pci_dev_get(next);
}
struct pci_dev *pci_dev_get(struct pci_dev *device) {
  if (device) get_device(&device->dev);
  return device;
}
void pci_dev_put(struct pci_dev *device) {
  if (device) put_device(&device->dev);
}

// Quirks that Linux applies once a function is known, such as taking USB controllers over from the
// firmware.
static void fix(struct pci_dev *device) {
  for (struct pci_fixup *row = linux_fixups_begin; row < linux_fixups_end; row++) {
    if ((row->class == PCI_ANY_ID || row->class == device->class >> row->class_shift) &&
        (row->vendor == (u16)PCI_ANY_ID || row->vendor == device->vendor) &&
        (row->device == (u16)PCI_ANY_ID || row->device == device->device)) {
      void (*hook)(struct pci_dev *) = offset_to_ptr(&row->hook_offset);
      hook(device);
    }
  }
}

// A probe failed. With -ENODEV a driver with a wide table says that the device is not for it:
// virtio_pci lists everything of its vendor.
static void refused(struct function *f, int error) {
  struct pci_dev *device = &f->device;
  devres_release_all(&device->dev);
  if (error == -ENODEV) {
    dev_info(&device->dev, "%s does not take it\n", f->driver_name);
    f->driver_name = f->state = NULL;
  } else {
    dev_err(&device->dev, "%s could not start the device: error %d\n", f->driver_name, -error);
    f->state = "failed: dmesg says why";
  }
  device->driver = NULL;
  device->dev.driver = NULL;
}
int __pci_register_driver(struct pci_driver *driver, struct module *owner, const char *name) {
  driver->driver.name = name;
  for (int i = 0; i < function_count; i++) {
    struct function *f = functions[i];
    struct pci_dev *device = &f->device;
    const struct pci_device_id *row = device->driver ? NULL : match(driver->id_table, device);
    if (!row) continue;
    device->driver = driver;
    device->dev.driver = &driver->driver;
    f->driver_name = name;
    f->state = "running";
    int error = driver->probe(device, row);
    if (error) refused(f, error);
  }
  return 0;
}
static void unbind(struct function *f, const char *state) {
  struct pci_dev *device = &f->device;
  if (device->driver->remove) device->driver->remove(device);
  devres_release_all(&device->dev);
  pci_free_irq_vectors(device);
  pci_clear_master(device);
  device->driver = NULL;
  device->dev.driver = NULL;
  f->state = state;
}
void pci_unregister_driver(struct pci_driver *driver) {
  for (int i = 0; i < function_count; i++) {
    if (functions[i]->device.driver == driver) unbind(functions[i], "unbound");
  }
}
static bool driven_on(const struct function *f, unsigned int first, unsigned int last) {
  return f->device.driver && f->place >= first && f->place <= last;
}
bool shim_pci_answers(unsigned int first, unsigned int last) {
  for (int i = 0; i < function_count; i++) {
    if (driven_on(functions[i], first, last) && !pci_device_is_present(&functions[i]->device)) return false;
  }
  return true;
}
int shim_pci_remove(unsigned int first, unsigned int last, bool present) {
  int count = 0;
  for (int i = 0; i < function_count; i++) {
    struct function *f = functions[i];
    if (!driven_on(f, first, last)) continue;
    if (!present) f->device.error_state = pci_channel_io_perm_failure;
    unbind(f, "removed");
    count++;
  }
  return count;
}
// Does a function-level reset (PCI Express 4.0, 6.6.2): waits 100 ms, then writes the configuration
// again.
static void reset_function(struct pci_dev *device) {
  u32 can = device->pcie_cap ? config(device, device->pcie_cap + PCI_EXP_DEVCAP, 4) : 0;
  if (!(can & PCI_EXP_DEVCAP_FLR)) return;
  set_config(device, device->pcie_cap + PCI_EXP_DEVCTL, 2,
             config(device, device->pcie_cap + PCI_EXP_DEVCTL, 2) | PCI_EXP_DEVCTL_BCR_FLR);
  msleep(100);
}
int shim_pci_reset(const char *name) {
  struct function *f = NULL;
  shim_enter();
  for (int i = 0; i < function_count; i++) {
    if (!strcmp(dev_name(&functions[i]->device.dev), name)) f = functions[i];
  }
  if (!f) return -ENODEV;
  struct pci_dev *device = &f->device;
  const struct pci_error_handlers *ways = device->driver ? device->driver->err_handler : NULL;
  if (!ways || (!ways->reset_prepare && !ways->error_detected)) return -EOPNOTSUPP;
  pci_info(device, "resetting\n");
  pci_save_state(device);
  if (ways->reset_prepare) {
    ways->reset_prepare(device);
    reset_function(device);
    pci_restore_state(device);
    ways->reset_done(device);
    return 0;
  }
  // Works as after an error on the bus: the driver releases the function, which is reset, and
  // starts again.
  ways->error_detected(device, pci_channel_io_frozen);
  reset_function(device);
  pci_restore_state(device);
  if (ways->slot_reset && ways->slot_reset(device) != PCI_ERS_RESULT_RECOVERED) return -EIO;
  if (ways->resume) ways->resume(device);
  return 0;
}
int shim_binding(int index, struct shim_binding *out) {
  if (index >= function_count) return -ENODEV;
  struct function *f = functions[index];
  *out = (struct shim_binding){
      .device = dev_name(&f->device.dev),
      .driver = f->driver_name ?: "-",
      .vendor = f->device.vendor,
      .id = f->device.device,
      .kind = f->device.class >> 8,
      .state = f->state ?: "no driver",
  };
  return 0;
}
