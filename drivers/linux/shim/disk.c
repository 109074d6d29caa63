// SPDX-License-Identifier: GPL-2.0-or-later
// Disks: gendisks as they appear, their limits, and requests from Marrow's side.
#include <linux/blk-mq.h>
#include <linux/blkdev.h>

#include "drivers/linux/shim/block.h"
#include "drivers/linux/shim/shim.h"

// A row stays when its disk goes; the gendisk then only reports that it is gone.
enum { kMaxDisks = 128, kGoneWaitSeconds = 60 };
static struct row {
  struct gendisk *disk;
  const char *driver;
  char name[DISK_NAME_LEN];
  bool gone, fixed;
} disks[kMaxDisks];
static int disk_count;

// Uses a queue that exists already: SCSI has one before it knows that the device is a disk.
struct gendisk *blk_mq_alloc_disk_for_queue(struct request_queue *q, struct lock_class_key *key) {
  struct gendisk *disk = kzalloc(sizeof(*disk), GFP_KERNEL);
  struct block_device *whole = kzalloc(sizeof(*whole), GFP_KERNEL);
  if (!disk || !whole) {
    kfree(disk);
    kfree(whole);
    return NULL;
  }
  device_initialize(&whole->bd_device);
  disk->part0 = whole;
  whole->bd_disk = disk;
  whole->bd_queue = q;
  disk->queue = q;
  q->disk = disk;
  mutex_init(&disk->open_mutex);
  return disk;
}
struct gendisk *__blk_mq_alloc_disk(struct blk_mq_tag_set *set, void *queuedata, struct lock_class_key *key) {
  struct request_queue *q = blk_mq_init_queue(set);
  if (IS_ERR(q)) return ERR_CAST(q);
  q->queuedata = queuedata;
  return blk_mq_alloc_disk_for_queue(q, key) ?: ERR_PTR(-ENOMEM);
}
// Reads the size of a medium, which is known once its drive is opened. The drive is closed again:
// nothing locks its tray.
static void look_for_medium(struct gendisk *disk) {
  if (!(disk->flags & GENHD_FL_REMOVABLE) || !disk->fops->open) return;
  if (disk->fops->open(disk->part0, FMODE_READ)) {
    set_capacity(disk, 0);
  } else if (disk->fops->release) {
    disk->fops->release(disk, FMODE_READ);
  }
}
bool bdev_check_media_change(struct block_device *whole) {
  struct gendisk *disk = whole->bd_disk;
  return disk->fops->check_events && (disk->fops->check_events(disk, DISK_EVENT_MEDIA_CHANGE) & DISK_EVENT_MEDIA_CHANGE);
}
static bool behind_usb(struct device *device) {
  for (; device; device = device->parent)
    if (device->bus && !strcmp(device->bus->name, "usb")) return true;
  return false;
}
int device_add_disk(struct device *parent, struct gendisk *disk, const struct attribute_group **groups) {
  if (disk_count == kMaxDisks) return -ENOSPC;
  disk->part0->bd_device.parent = parent;
  look_for_medium(disk);
  if ((disk->flags & GENHD_FL_REMOVABLE) && get_capacity(disk) == 0) {
    pr_info("%s: no medium\n", disk->disk_name);  // a medium that is inserted later is ignored
    return 0;
  }
  bool fixed = !(disk->flags & GENHD_FL_REMOVABLE) && !behind_usb(parent);
  // sd and sr are drivers of what ahci or usb-storage reach; this finds the latter's name.
  while (parent && (!parent->driver || (parent->bus && !strcmp(parent->bus->name, "scsi")))) parent = parent->parent;
  struct row *row = &disks[disk_count];
  *row = (struct row){.disk = disk, .driver = parent ? parent->driver->name : "unknown", .fixed = fixed};
  strscpy(row->name, disk->disk_name, sizeof(row->name));
  set_bit(GD_ADDED, &disk->state);
  disk_count++;
  pr_info("%s: %llu sectors, blocks of %u bytes\n", disk->disk_name, (unsigned long long)get_capacity(disk),
          queue_logical_block_size(disk->queue));
  shim_host_devices_changed();
  return 0;
}
// No request starts from here on. Those in flight end by the device or by the driver's timeout.
void del_gendisk(struct gendisk *disk) {
  for (int i = 0; i < disk_count; i++) {
    if (disks[i].disk == disk) disks[i].gone = true;
  }
  set_capacity(disk, 0);
  shim_resume(disk->queue);  // ends the requests that were set aside
  blk_freeze_queue_start(disk->queue);
  if (!blk_mq_freeze_queue_wait_timeout(disk->queue, kGoneWaitSeconds * HZ))
    pr_err("%s: requests did not end within %d s of its removal\n", disk->disk_name, kGoneWaitSeconds);
  blk_mq_destroy_queue(disk->queue);
  pr_info("%s: gone\n", disk->disk_name);
}
// The gendisk and its queue stay, because a late completion may still look at them.
void put_disk(struct gendisk *disk) {
  if (test_bit(GD_ADDED, &disk->state) && disk->fops->free_disk) disk->fops->free_disk(disk);
}
void blk_mark_disk_dead(struct gendisk *disk) {
  set_capacity(disk, 0);
  shim_resume(disk->queue);  // ends the requests that were set aside
}
void set_disk_ro(struct gendisk *disk, bool read_only) { disk->part0->bd_read_only = read_only; }
void set_capacity(struct gendisk *disk, sector_t sectors) { disk->part0->bd_nr_sectors = sectors; }
bool set_capacity_and_notify(struct gendisk *disk, sector_t sectors) {
  bool changed = get_capacity(disk) != sectors;
  set_capacity(disk, sectors);
  return changed;
}

// ---- limits: kept where Linux's inlines look ----
void blk_queue_logical_block_size(struct request_queue *q, unsigned int size) { q->limits.logical_block_size = size; }
void blk_queue_physical_block_size(struct request_queue *q, unsigned int size) { q->limits.physical_block_size = size; }
void blk_queue_max_hw_sectors(struct request_queue *q, unsigned int most) { q->limits.max_hw_sectors = most; }
void blk_queue_max_segments(struct request_queue *q, unsigned short most) { q->limits.max_segments = most; }
void blk_queue_max_segment_size(struct request_queue *q, unsigned int most) { q->limits.max_segment_size = most; }
void blk_queue_chunk_sectors(struct request_queue *q, unsigned int size) { q->limits.chunk_sectors = size; }
void blk_queue_virt_boundary(struct request_queue *q, unsigned long mask) { q->limits.virt_boundary_mask = mask; }
void blk_queue_dma_alignment(struct request_queue *q, int mask) { q->limits.dma_alignment = mask; }
void blk_queue_io_min(struct request_queue *q, unsigned int size) { q->limits.io_min = size; }
void blk_queue_io_opt(struct request_queue *q, unsigned int size) { q->limits.io_opt = size; }
void blk_queue_update_dma_alignment(struct request_queue *q, int mask) {
  q->limits.dma_alignment = max_t(int, q->limits.dma_alignment, mask);
}
void blk_queue_update_dma_pad(struct request_queue *q, unsigned int mask) { q->dma_pad_mask |= mask; }
void blk_queue_segment_boundary(struct request_queue *q, unsigned long mask) { q->limits.seg_boundary_mask = mask; }
void blk_queue_rq_timeout(struct request_queue *q, unsigned int timeout) { q->rq_timeout = timeout; }
void blk_queue_bounce_limit(struct request_queue *q, enum blk_bounce limit) {}  // no high memory
void blk_queue_zone_write_granularity(struct request_queue *q, unsigned int size) {}
void disk_set_zoned(struct gendisk *disk, enum blk_zoned_model model) {}  // written like any other: see fatal.list
void blk_set_queue_depth(struct request_queue *q, unsigned int depth) { q->queue_depth = depth; }
bool blk_get_queue(struct request_queue *q) { return true; }  // queues are never freed
void blk_set_pm_only(struct request_queue *q) { atomic_inc(&q->pm_only); }
void blk_clear_pm_only(struct request_queue *q) { atomic_dec(&q->pm_only); }
void blk_dump_rq_flags(struct request *rq, char *text) { pr_info("%s: request flags %x\n", text, rq->cmd_flags); }
void add_disk_randomness(struct gendisk *disk) {}
void invalidate_bdev(struct block_device *whole) {}  // nothing is cached here
struct blk_independent_access_ranges *disk_alloc_independent_access_ranges(struct gendisk *disk, int count) {
  return NULL;  // only told to user space
}
void disk_set_independent_access_ranges(struct gendisk *disk, struct blk_independent_access_ranges *ranges) {}
void blk_queue_alignment_offset(struct request_queue *q, unsigned int offset) { q->limits.alignment_offset = offset; }
void blk_queue_max_discard_sectors(struct request_queue *q, unsigned int most) { q->limits.max_discard_sectors = most; }
void blk_queue_max_discard_segments(struct request_queue *q, unsigned short most) {
  q->limits.max_discard_segments = most;
}
void blk_queue_max_secure_erase_sectors(struct request_queue *q, unsigned int most) {
  q->limits.max_secure_erase_sectors = most;
}
void blk_queue_max_write_zeroes_sectors(struct request_queue *q, unsigned int most) {
  q->limits.max_write_zeroes_sectors = most;
}
void blk_queue_write_cache(struct request_queue *q, bool cache, bool fua) {
  cache ? __set_bit(QUEUE_FLAG_WC, &q->queue_flags) : __clear_bit(QUEUE_FLAG_WC, &q->queue_flags);
  fua ? __set_bit(QUEUE_FLAG_FUA, &q->queue_flags) : __clear_bit(QUEUE_FLAG_FUA, &q->queue_flags);
}
void blk_queue_flag_clear(unsigned int flag, struct request_queue *q) { clear_bit(flag, &q->queue_flags); }
void blk_queue_flag_set(unsigned int flag, struct request_queue *q) { set_bit(flag, &q->queue_flags); }

int __register_blkdev(unsigned int major, const char *name, void (*probe)(dev_t)) {
  return major ? 0 : 240;  // a free one was asked for
}
void unregister_blkdev(unsigned int major, const char *name) {}
// ---- Marrow's side ----
int shim_disk_count(void) { return disk_count; }
void shim_disk_info(int index, struct shim_disk_info *out) {
  struct gendisk *disk = disks[index].disk;
  *out = (struct shim_disk_info){
      .name = disks[index].name,
      .driver = disks[index].driver,
      .sectors = get_capacity(disk),
      .block_bytes = queue_logical_block_size(disk->queue),
      .max_bytes = min3(queue_max_hw_sectors(disk->queue), 2048u,
                        (queue_max_segments(disk->queue) > 1 ? queue_max_segments(disk->queue) - 1 : 1u) * 8u)
                   << 9,
      .read_only = disk->part0->bd_read_only,
      .fixed = disks[index].fixed,
  };
}

// A request of Marrow's side, until it was told the end.
struct outside {
  struct list_head aside;
  struct gendisk *disk;
  blk_opf_t operation;
  unsigned long sector;
  void *memory;
  unsigned int bytes;
  void (*done)(void *context, int error);
  void *context;
};
static LIST_HEAD(set_aside);  // of all disks whose queues are frozen

static void finish(struct outside *call, int error) {
  call->done(call->context, error);
  kfree(call);
}
static enum rq_end_io_ret end_outside(struct request *rq, blk_status_t status) {
  finish(rq->end_io_data, blk_status_to_errno(status));
  return RQ_END_IO_FREE;
}
static int begin(struct outside *call) {
  struct request *rq = shim_try_request(call->disk->queue, call->operation);
  if (!rq) return -EBUSY;
  rq->__sector = call->sector;
  rq->end_io = end_outside;
  rq->end_io_data = call;
  if (call->bytes && shim_map_memory(rq, call->memory, call->bytes)) {
    blk_mq_free_request(rq);
    return -ENOMEM;
  }
  blk_execute_rq_nowait(rq, false);
  return 0;
}

// After a reset nvme starts a frozen queue, waits until it is empty, and only then tells the
// controller where to look for doorbells. The controller would not notice a request that is issued
// between the two, nor any after it. So a frozen queue issues none of Marrow's requests. A dead
// disk's queue does: the driver fails all of them.
bool shim_set_aside(struct request *rq) {
  struct outside *call = rq->end_io_data;
  if (rq->end_io != end_outside || get_capacity(call->disk) == 0) return false;
  unsigned long flags;
  local_irq_save(flags);
  list_add_tail(&call->aside, &set_aside);
  local_irq_restore(flags);
  blk_mq_free_request(rq);
  return true;
}
static struct outside *take_aside(struct request_queue *q) {
  struct outside *call, *found = NULL;
  unsigned long flags;
  local_irq_save(flags);
  list_for_each_entry(call, &set_aside, aside) {
    if (call->disk->queue != q) continue;
    list_del(&call->aside);
    found = call;
    break;
  }
  local_irq_restore(flags);
  return found;
}
void shim_resume(struct request_queue *q) {
  struct outside *call;
  while ((call = take_aside(q))) {
    int error = get_capacity(call->disk) ? begin(call) : -ENODEV;
    if (error) finish(call, error);
  }
}
int shim_disk_submit(int index, enum shim_disk_op op, unsigned long sector, void *memory, unsigned int bytes,
                     void (*done)(void *context, int error), void *context) {
  static const blk_opf_t kOps[] = {REQ_OP_READ, REQ_OP_WRITE, REQ_OP_FLUSH};
  struct gendisk *disk = disks[index].disk;
  if (disks[index].gone) return -ENODEV;
  if (op != SHIM_DISK_FLUSH && (sector + (bytes >> 9) > get_capacity(disk) || (bytes & 511))) return -EINVAL;
  if (op == SHIM_DISK_FLUSH && !test_bit(QUEUE_FLAG_WC, &disk->queue->queue_flags)) {
    done(context, 0);  // nothing is cached
    return 0;
  }
  struct outside *call = kmalloc(sizeof(*call), GFP_ATOMIC);
  if (!call) return -ENOMEM;
  *call = (struct outside){.disk = disk, .operation = kOps[op], .sector = sector, .memory = memory,
                           .bytes = bytes, .done = done, .context = context};
  shim_enter();
  int error = begin(call);
  if (error) kfree(call);
  return error;
}
