// SPDX-License-Identifier: GPL-2.0-or-later
// Memory for Linux code: one identity-mapped arena with a struct page for each of its pages.
//
// Linux's "direct map" begins at 0, so it is our identity map: __pa() and __va() change nothing. vmemmap_base is placed so that the arena's pages fall on our array; pages elsewhere (the
// model's weights during a read) have addresses that compute but are never dereferenced.
//
// Page runs come from a first-fit bitmap; small objects from power-of-two slabs of one page each.
// page->index says what a page holds: the slab's order, or kRunBase + the pages of its run.
// page->private is the drivers' own and 0 in a fresh page: virtio_net chains pages by it.
#include <linux/mempool.h>
#include <linux/vmalloc.h>

#include "drivers/linux/shim/shim.h"

unsigned long vmemmap_base;
struct kmem_cache *kmalloc_caches[NR_KMALLOC_TYPES][KMALLOC_SHIFT_HIGH + 1];

enum { kMinOrder = 5, kMaxSlabOrder = 11, kRunBase = 1 << 16 };

#ifdef __SANITIZE_ADDRESS__  // tests/shim: free memory may not be touched
void __asan_poison_memory_region(const volatile void *memory, size_t bytes);
void __asan_unpoison_memory_region(const volatile void *memory, size_t bytes);
#define MARK_FREE(memory, bytes) __asan_poison_memory_region(memory, bytes)
#define MARK_USED(memory, bytes) __asan_unpoison_memory_region(memory, bytes)
#else
#define MARK_FREE(memory, bytes)
#define MARK_USED(memory, bytes)
#endif

static char *arena;
static unsigned long arena_pages, used_pages, search_from;
static unsigned long *taken;  // one bit per page
static struct page *page_array;
static void *free_objects[kMaxSlabOrder + 1];

// Takes less memory than requested if the machine has no more there: drivers of a few devices need
// only 8 MiB. Returns the bytes taken.
static unsigned long take_arena(unsigned long bytes, int anywhere) {
  enum { kLeastBytes = 8 << 20 };
  while (!(arena = shim_host_arena(bytes, anywhere)) && bytes / 2 >= kLeastBytes) bytes = bytes / 2 & PAGE_MASK;
  return bytes;
}

// Memory below 4 GiB comes first, because many devices reach no further. Some machines have none.
int shim_mm_start(unsigned long wanted) {
  unsigned long arena_bytes = take_arena(wanted, 0);
  if (!arena) {
    arena_bytes = take_arena(wanted, 1);
    if (arena) pr_warn("no memory for drivers below 4 GiB: devices that reach no further will not start\n");
  }
  if (!arena) return -ENOMEM;
  if (arena_bytes < wanted)
    pr_warn("%lu MiB of memory for drivers instead of %lu: the machine has no more\n", arena_bytes >> 20, wanted >> 20);
  arena_pages = arena_bytes >> PAGE_SHIFT;
  // The arena's first pages hold its bookkeeping: the page structs and the bitmap.
  unsigned long books = arena_pages * sizeof(struct page) + BITS_TO_LONGS(arena_pages) * 8;
  unsigned long book_pages = DIV_ROUND_UP(books, PAGE_SIZE);
  memset(arena, 0, book_pages << PAGE_SHIFT);
  page_array = (struct page *)arena;
  taken = (unsigned long *)(page_array + arena_pages);
  vmemmap_base = (unsigned long)page_array - ((unsigned long)arena >> PAGE_SHIFT) * sizeof(struct page);
  bitmap_set(taken, 0, book_pages);
  used_pages = search_from = book_pages;
  return 0;
}

void shim_memory_use(unsigned long *used, unsigned long *total) {
  *used = used_pages << PAGE_SHIFT;
  *total = arena_pages << PAGE_SHIFT;
}

// Returns a run of `count` pages aligned to `align` pages, or NULL. Any context.
static void *take_pages(unsigned long count, unsigned long align) {
  unsigned long flags, at;
  local_irq_save(flags);
  at = bitmap_find_next_zero_area(taken, arena_pages, search_from, count, align - 1);
  if (at >= arena_pages) at = bitmap_find_next_zero_area(taken, arena_pages, 0, count, align - 1);
  if (at < arena_pages) {
    bitmap_set(taken, at, count);
    used_pages += count;
    search_from = at + count;
  }
  local_irq_restore(flags);
  if (at >= arena_pages) return NULL;
  char *run = arena + (at << PAGE_SHIFT);
  MARK_USED(run, count << PAGE_SHIFT);
  struct page *page = virt_to_page(run);
  page->index = kRunBase + count;
  page->private = 0;
  atomic_set(&page->_refcount, 1);
  return run;
}

static void give_pages(void *run) {
  struct page *page = virt_to_page(run);
  unsigned long flags, count = page->index - kRunBase, at = page - page_array;
  if (page->index < kRunBase) shim_host_fatal("giving pages back that are not a run");
  local_irq_save(flags);
  page->index = 0;
  for (unsigned long i = 1; i < count; i++) page[i].compound_head = 0;
  MARK_FREE(run, count << PAGE_SHIFT);
  bitmap_clear(taken, at, count);
  used_pages -= count;
  search_from = min(search_from, at);
  local_irq_restore(flags);
}

static void *take_object(int order) {
  unsigned long flags;
  local_irq_save(flags);
  if (!free_objects[order]) {
    char *page = take_pages(1, 1);
    if (page) {
      virt_to_page(page)->index = order;
      for (unsigned long at = 0; at < PAGE_SIZE; at += 1UL << order) {
        *(void **)(page + at) = free_objects[order];
        free_objects[order] = page + at;
        MARK_FREE(page + at, 1UL << order);
      }
    }
  }
  void *object = free_objects[order];
  if (object) {
    MARK_USED(object, 1UL << order);
    free_objects[order] = *(void **)object;
  }
  local_irq_restore(flags);
  return object;
}

void *__kmalloc(size_t size, gfp_t flags) {
  int order = size <= 1 << kMinOrder ? kMinOrder : fls64(size - 1);
  void *memory = order <= kMaxSlabOrder
                     ? take_object(order)
                     : take_pages(DIV_ROUND_UP(size, PAGE_SIZE), size > PAGE_SIZE ? roundup_pow_of_two(DIV_ROUND_UP(size, PAGE_SIZE)) : 1);
  if (memory && (flags & __GFP_ZERO)) memset(memory, 0, size);
  return memory;
}

void kfree(const void *memory) {
  unsigned long flags;
  if (ZERO_OR_NULL_PTR(memory)) return;
  unsigned long kind = virt_to_page((void *)((unsigned long)memory & PAGE_MASK))->index;
  if (kind >= kRunBase) return give_pages((void *)memory);
  if (kind < kMinOrder || kind > kMaxSlabOrder) shim_host_fatal("kfree of memory that was not allocated");
  local_irq_save(flags);
  *(void **)memory = free_objects[kind];
  free_objects[kind] = (void *)memory;
  MARK_FREE(memory, 1UL << kind);
  local_irq_restore(flags);
}

void *__kmalloc_node(size_t size, gfp_t flags, int node) { return __kmalloc(size, flags); }
void *kmalloc_trace(struct kmem_cache *cache, gfp_t flags, size_t size) { return __kmalloc(size, flags); }
void *kmalloc_node_trace(struct kmem_cache *cache, gfp_t flags, int node, size_t size) {
  return __kmalloc(size, flags);
}
void *kvmalloc_node(size_t size, gfp_t flags, int node) { return __kmalloc(size, flags); }
void kvfree(const void *memory) { kfree(memory); }
void kfree_const(const void *memory) {
  // kstrdup_const does not copy constant strings, so what lies outside the arena is not freed.
  if ((char *)memory >= arena && (char *)memory < arena + (arena_pages << PAGE_SHIFT)) kfree(memory);
}
void *vmalloc(unsigned long size) { return __kmalloc(size, 0); }
void *vzalloc(unsigned long size) { return __kmalloc(size, __GFP_ZERO); }
void vfree(const void *memory) { kfree(memory); }
bool is_vmalloc_addr(const void *memory) { return false; }  // all of it is physically contiguous

void *__kmalloc_node_track_caller(size_t size, gfp_t flags, int node, unsigned long caller) {
  return __kmalloc(size, flags);
}
// Strings between these need no copy. There are none here: kfree_const looks at the arena instead.
char __start_rodata[1], __end_rodata[1];
void *kmalloc_large(size_t size, gfp_t flags) { return __kmalloc(size, flags); }
size_t ksize(const void *memory) {
  unsigned long kind = virt_to_page((void *)((unsigned long)memory & PAGE_MASK))->index;
  return kind >= kRunBase ? (kind - kRunBase) << PAGE_SHIFT : 1UL << kind;
}
void *krealloc(const void *memory, size_t size, gfp_t flags) {
  if (!size) {
    kfree(memory);
    return ZERO_SIZE_PTR;
  }
  size_t had = ZERO_OR_NULL_PTR(memory) ? 0 : ksize(memory);
  if (size <= had) return (void *)memory;
  void *larger = __kmalloc(size, flags);
  if (!larger) return NULL;
  if (had) memcpy(larger, memory, had);
  kfree(memory);
  return larger;
}

char *kstrdup(const char *text, gfp_t flags) { return text ? kmemdup(text, strlen(text) + 1, flags) : NULL; }
void *kmemdup(const void *source, size_t size, gfp_t flags) {
  void *copy = __kmalloc(size, flags);
  return copy ? memcpy(copy, source, size) : NULL;
}

// ---- whole pages ----
struct page *__alloc_pages(gfp_t flags, unsigned int order, int node, nodemask_t *nodes) {
  void *run = take_pages(1UL << order, 1UL << order);
  if (!run) return NULL;
  if (flags & __GFP_ZERO) memset(run, 0, PAGE_SIZE << order);
  struct page *page = virt_to_page(run);
  // The whole run has one count: the other pages lead to the first one (bit 0 marks them).
  for (unsigned long i = 1; (flags & __GFP_COMP) && i < 1UL << order; i++) page[i].compound_head = (unsigned long)page | 1;
  return page;
}
unsigned long __get_free_pages(gfp_t flags, unsigned int order) {
  struct page *page = __alloc_pages(flags, order, 0, NULL);
  return page ? (unsigned long)page_address(page) : 0;
}
void __free_pages(struct page *page, unsigned int order) {
  if (put_page_testzero(page)) give_pages(page_address(page));
}
void free_pages(unsigned long address, unsigned int order) {
  if (address) __free_pages(virt_to_page((void *)address), order);
}
void __folio_put(struct folio *folio) { give_pages(page_address(&folio->page)); }
void *alloc_pages_exact(size_t size, gfp_t flags) {
  void *run = take_pages(DIV_ROUND_UP(size, PAGE_SIZE), 1);
  if (run && (flags & __GFP_ZERO)) memset(run, 0, size);
  return run;
}
void free_pages_exact(void *memory, size_t size) { give_pages(memory); }

// ---- object caches and pools ----
struct kmem_cache {
  unsigned int size;
  void (*construct)(void *);
};
struct kmem_cache *kmem_cache_create(const char *name, unsigned int size, unsigned int align, slab_flags_t flags,
                                     void (*construct)(void *)) {
  struct kmem_cache *cache = kzalloc(sizeof(*cache), GFP_KERNEL);
  if (!cache) return NULL;
  cache->size = max(size, align);
  cache->construct = construct;
  return cache;
}
void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t flags) {
  void *object = __kmalloc(cache->size, flags);
  if (object && cache->construct) cache->construct(object);
  return object;
}
struct kmem_cache *kmem_cache_create_usercopy(const char *name, unsigned int size, unsigned int align,
                                              slab_flags_t flags, unsigned int offset, unsigned int bytes,
                                              void (*construct)(void *)) {
  return kmem_cache_create(name, size, align, flags, construct);
}
void *kmem_cache_alloc_node(struct kmem_cache *cache, gfp_t flags, int node) { return kmem_cache_alloc(cache, flags); }
void *kmem_cache_alloc_lru(struct kmem_cache *cache, struct list_lru *lru, gfp_t flags) {
  return kmem_cache_alloc(cache, flags);
}
void kmem_cache_free(struct kmem_cache *cache, void *object) { kfree(object); }
void kmem_cache_destroy(struct kmem_cache *cache) { kfree(cache); }

// A pool keeps `min_nr` elements ready, so that I/O can go on when memory is short.
mempool_t *mempool_create_node(int min_nr, mempool_alloc_t *alloc, mempool_free_t *release, void *data, gfp_t flags,
                               int node) {
  mempool_t *pool = kzalloc(sizeof(*pool), flags);
  if (!pool) return NULL;
  pool->elements = kcalloc(min_nr, sizeof(void *), flags);
  pool->alloc = alloc;
  pool->free = release;
  pool->pool_data = data;
  pool->min_nr = min_nr;
  for (; pool->elements && pool->curr_nr < min_nr; pool->curr_nr++) {
    pool->elements[pool->curr_nr] = alloc(flags, data);
    if (!pool->elements[pool->curr_nr]) break;
  }
  if (pool->elements && pool->curr_nr == min_nr) return pool;
  mempool_destroy(pool);
  return NULL;
}
mempool_t *mempool_create(int min_nr, mempool_alloc_t *alloc, mempool_free_t *release, void *data) {
  return mempool_create_node(min_nr, alloc, release, data, GFP_KERNEL, 0);
}
void *mempool_alloc_slab(gfp_t flags, void *cache) { return kmem_cache_alloc(cache, flags); }
void mempool_free_slab(void *element, void *cache) { kmem_cache_free(cache, element); }
void *mempool_alloc_pages(gfp_t flags, void *order) { return alloc_pages(flags, (unsigned int)(unsigned long)order); }
void mempool_free_pages(void *element, void *order) { __free_pages(element, (unsigned int)(unsigned long)order); }
void *mempool_alloc(mempool_t *pool, gfp_t flags) {
  void *element = pool->alloc(flags, pool->pool_data);
  unsigned long irq;
  local_irq_save(irq);
  if (!element && pool->curr_nr > 0) element = pool->elements[--pool->curr_nr];
  local_irq_restore(irq);
  return element;
}
void mempool_free(void *element, mempool_t *pool) {
  unsigned long irq;
  if (!element) return;
  local_irq_save(irq);
  if (pool->curr_nr < pool->min_nr) {
    pool->elements[pool->curr_nr++] = element;
    element = NULL;
  }
  local_irq_restore(irq);
  if (element) pool->free(element, pool->pool_data);
}
void mempool_destroy(mempool_t *pool) {
  if (!pool) return;
  while (pool->elements && pool->curr_nr > 0) pool->free(pool->elements[--pool->curr_nr], pool->pool_data);
  kfree(pool->elements);
  kfree(pool);
}
void *mempool_kmalloc(gfp_t flags, void *size) { return __kmalloc((size_t)size, flags); }
void mempool_kfree(void *element, void *size) { kfree(element); }

// Per-CPU data with one CPU is plain data.
void __percpu *__alloc_percpu_gfp(size_t size, size_t align, gfp_t flags) {
  return (void __percpu *)__kmalloc(max(size, align), flags | __GFP_ZERO);
}
void __percpu *__alloc_percpu(size_t size, size_t align) { return __alloc_percpu_gfp(size, align, GFP_KERNEL); }
void free_percpu(void __percpu *memory) { kfree((void *)memory); }
void iounmap(volatile void __iomem *address) {}  // what is mapped once stays
