// SPDX-License-Identifier: GPL-2.0-or-later
// DMA on identity-mapped, cache-coherent RAM: a bus address is the physical address, so mapping is
// arithmetic, syncing does nothing, and no payload is copied. There is no IOMMU.
#include <linux/dma-mapping.h>
#include <linux/dmapool.h>
#include <linux/scatterlist.h>

#include "drivers/linux/shim/shim.h"

void *dma_alloc_attrs(struct device *device, size_t size, dma_addr_t *handle, gfp_t flags, unsigned long attrs) {
  // Naturally aligned, as Linux promises: rings are often required to be.
  size_t bytes = roundup_pow_of_two(max_t(size_t, size, PAGE_SIZE));
  void *memory = alloc_pages_exact(bytes, flags | __GFP_ZERO);
  *handle = memory ? virt_to_phys(memory) : DMA_MAPPING_ERROR;
  if (memory && device && device->coherent_dma_mask && *handle + size - 1 > device->coherent_dma_mask) {
    dev_err(device, "this device reaches only %llx, and the drivers' memory lies above that\n", device->coherent_dma_mask);
    free_pages_exact(memory, bytes);
    *handle = DMA_MAPPING_ERROR;
    return NULL;
  }
  return memory;
}
void dma_free_attrs(struct device *device, size_t size, void *memory, dma_addr_t handle, unsigned long attrs) {
  if (memory) free_pages_exact(memory, size);
}

static unsigned long starved;  // mappings that will fail: `drivers starve`
void shim_starve_dma(unsigned long count) { starved = count; }

// Fails if the device cannot reach the address. Linux would use a bounce buffer; there are none
// here.
dma_addr_t dma_map_page_attrs(struct device *device, struct page *page, size_t offset, size_t size,
                              enum dma_data_direction direction, unsigned long attrs) {
  phys_addr_t address = page_to_phys(page) + offset;
  if (starved > 0) {
    starved--;
    return DMA_MAPPING_ERROR;
  }
  if (device && device->dma_mask && address + size - 1 > *device->dma_mask) return DMA_MAPPING_ERROR;
  return address;
}
void dma_unmap_page_attrs(struct device *device, dma_addr_t handle, size_t size, enum dma_data_direction direction,
                          unsigned long attrs) {}
void dma_sync_single_for_cpu(struct device *device, dma_addr_t handle, size_t size, enum dma_data_direction direction) {}
void dma_sync_single_for_device(struct device *device, dma_addr_t handle, size_t size,
                                enum dma_data_direction direction) {}

unsigned int dma_map_sg_attrs(struct device *device, struct scatterlist *list, int count,
                              enum dma_data_direction direction, unsigned long attrs) {
  struct scatterlist *entry;
  int i;
  for_each_sg(list, entry, count, i) {
    entry->dma_address = dma_map_page_attrs(device, sg_page(entry), entry->offset, entry->length, direction, attrs);
    if (entry->dma_address == DMA_MAPPING_ERROR) return 0;
    entry->dma_length = entry->length;
  }
  return count;
}
int dma_map_sgtable(struct device *device, struct sg_table *table, enum dma_data_direction direction,
                    unsigned long attrs) {
  int mapped = dma_map_sg_attrs(device, table->sgl, table->orig_nents, direction, attrs);
  if (!mapped) return -EIO;
  table->nents = mapped;
  return 0;
}
void dma_unmap_sg_attrs(struct device *device, struct scatterlist *list, int count, enum dma_data_direction direction,
                        unsigned long attrs) {}

int dma_set_mask(struct device *device, u64 mask) {
  if (!device->dma_mask) return -EIO;
  *device->dma_mask = mask;
  return 0;
}
int dma_set_coherent_mask(struct device *device, u64 mask) {
  device->coherent_dma_mask = mask;
  return 0;
}
size_t dma_max_mapping_size(struct device *device) { return SIZE_MAX; }
bool dma_need_sync(struct device *device, dma_addr_t handle) { return false; }
bool dma_pci_p2pdma_supported(struct device *device) { return false; }

// Pools of equal small blocks. A block must not cross `boundary`: power-of-two objects do not.
struct dma_pool {
  size_t size;
};
struct dma_pool *dma_pool_create(const char *name, struct device *device, size_t size, size_t align, size_t boundary) {
  struct dma_pool *pool = kzalloc(sizeof(*pool), GFP_KERNEL);
  if (pool) pool->size = max(size, align);
  return pool;
}
void *dma_pool_alloc(struct dma_pool *pool, gfp_t flags, dma_addr_t *handle) {
  void *block = __kmalloc(pool->size, flags);
  if (block) *handle = virt_to_phys(block);
  return block;
}
void dma_pool_free(struct dma_pool *pool, void *block, dma_addr_t handle) { kfree(block); }
void dma_pool_destroy(struct dma_pool *pool) { kfree(pool); }

int sg_alloc_table_chained(struct sg_table *table, int count, struct scatterlist *first, unsigned int first_count) {
  if (first && count <= first_count) {
    table->sgl = first;
    table->nents = table->orig_nents = count;
    sg_init_table(first, count);
    return 0;
  }
  return sg_alloc_table(table, count, GFP_ATOMIC);
}
void sg_free_table_chained(struct sg_table *table, unsigned int first_count) {
  if (table->orig_nents > first_count) sg_free_table(table);
}
