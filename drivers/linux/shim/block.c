// SPDX-License-Identifier: GPL-2.0-or-later
// A small blk-mq: tag sets, hardware queues, requests, timeouts, requeue. One submitting CPU, so
// every request goes to hardware queue 0 of its map unless it names another.
//
// A request is: allocated (a tag is taken), filled, issued (queue_rq), completed from the driver's
// interrupt (blk_mq_complete_request), ended (end_io, the tag is free again). A full device answers
// BLK_STS_RESOURCE; then the request waits on its queue's list and is issued again at the next end.
#include <linux/bio.h>
#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/scatterlist.h>

#include "drivers/linux/shim/block.h"
#include "drivers/linux/shim/shim.h"

struct queue {  // represents a request_queue here
  struct request_queue q;
  struct blk_mq_hw_ctx *contexts;
  unsigned int context_count;
  struct list_head waiting;  // requests the device had no room for
  struct work_struct rerun;
  struct timer_list timeout, retry;
  unsigned long users;  // counts like q_usage_counter, but nobody waits for it
  bool quiesced, dying;
  int frozen;
  unsigned int in_flight;
};
static struct queue *of(struct request_queue *q) { return container_of(q, struct queue, q); }

// The busy bits follow the tag set's table of requests.
static unsigned long *busy_of(struct blk_mq_tags *tags) { return (unsigned long *)(tags->static_rqs + tags->nr_tags); }

// ---- tag sets ----
static void free_tags(struct blk_mq_tag_set *set, unsigned int index) {
  struct blk_mq_tags *tags = set->tags[index];
  if (!tags) return;
  for (unsigned int i = 0; tags->static_rqs && i < tags->nr_tags; i++) {
    if (tags->static_rqs[i] && set->ops->exit_request) set->ops->exit_request(set, tags->static_rqs[i], index);
    kfree(tags->static_rqs[i]);
  }
  kfree(tags->static_rqs);
  kfree(tags->rqs);
  kfree(tags);
  set->tags[index] = NULL;
}
static int alloc_tags(struct blk_mq_tag_set *set, unsigned int index) {
  struct blk_mq_tags *tags = set->tags[index] = kzalloc(sizeof(*tags), GFP_KERNEL);
  if (!tags) return -ENOMEM;
  tags->nr_tags = set->queue_depth;
  tags->rqs = kcalloc(tags->nr_tags, sizeof(void *), GFP_KERNEL);
  tags->static_rqs = kzalloc(tags->nr_tags * sizeof(void *) + BITS_TO_LONGS(tags->nr_tags) * sizeof(long), GFP_KERNEL);
  if (!tags->rqs || !tags->static_rqs) return -ENOMEM;
  for (unsigned int i = 0; i < tags->nr_tags; i++) {
    struct request *rq = tags->static_rqs[i] = kzalloc(sizeof(*rq) + set->cmd_size, GFP_KERNEL);
    if (!rq) return -ENOMEM;
    rq->tag = i;
    int error = set->ops->init_request ? set->ops->init_request(set, rq, index, -1) : 0;
    if (error) return error;
  }
  return 0;
}
int blk_mq_alloc_tag_set(struct blk_mq_tag_set *set) {
  set->nr_maps = set->nr_maps ?: 1;
  set->nr_hw_queues = min(set->nr_hw_queues, 1u) ?: 1;  // one CPU submits
  for (unsigned int i = 0; i < set->nr_maps; i++) {
    set->map[i].mq_map = kcalloc(1, sizeof(unsigned int), GFP_KERNEL);
    set->map[i].nr_queues = set->nr_hw_queues;
  }
  if (set->ops->map_queues) set->ops->map_queues(set);
  INIT_LIST_HEAD(&set->tag_list);
  mutex_init(&set->tag_list_lock);
  set->tags = kcalloc(set->nr_hw_queues, sizeof(void *), GFP_KERNEL);
  int error = set->tags ? 0 : -ENOMEM;
  for (unsigned int i = 0; !error && i < set->nr_hw_queues; i++) error = alloc_tags(set, i);
  if (error) blk_mq_free_tag_set(set);
  return error;
}
void blk_mq_free_tag_set(struct blk_mq_tag_set *set) {
  for (unsigned int i = 0; set->tags && i < set->nr_hw_queues; i++) free_tags(set, i);
  kfree(set->tags);
  set->tags = NULL;
  for (unsigned int i = 0; i < set->nr_maps; i++) {
    kfree(set->map[i].mq_map);
    set->map[i].mq_map = NULL;
  }
}
void blk_mq_map_queues(struct blk_mq_queue_map *map) {
  if (map->mq_map) map->mq_map[0] = map->queue_offset;
}
void blk_mq_update_nr_hw_queues(struct blk_mq_tag_set *set, int count) {}  // always one

// Calls fn for every request that the device holds; stops when it returns false.
void blk_mq_tagset_busy_iter(struct blk_mq_tag_set *set, busy_tag_iter_fn *fn, void *data) {
  for (unsigned int i = 0; set->tags && i < set->nr_hw_queues; i++) {
    struct blk_mq_tags *tags = set->tags[i];
    for (unsigned int tag = 0; tags && tag < tags->nr_tags; tag++) {
      struct request *rq = tags->static_rqs[tag];
      if (test_bit(tag, busy_of(tags)) && rq->state != MQ_RQ_IDLE && !fn(rq, data)) return;
    }
  }
}
void blk_mq_tagset_wait_completed_request(struct blk_mq_tag_set *set) {}  // completions run at once

// ---- queues ----
static void issue(struct request *rq);

static void rerun_queue(struct work_struct *work) {
  struct queue *queue = container_of(work, struct queue, rerun);
  while (!queue->quiesced) {
    unsigned long flags;
    local_irq_save(flags);
    struct request *rq = list_first_entry_or_null(&queue->waiting, struct request, queuelist);
    if (rq) list_del_init(&rq->queuelist);
    local_irq_restore(flags);
    if (!rq) return;
    if (queue->frozen && shim_set_aside(rq)) continue;
    issue(rq);
    if (!list_empty(&rq->queuelist)) return;  // still no room: it went back
  }
}
static void rerun(struct queue *queue) {
  if (!list_empty(&queue->waiting)) queue_work_on(0, system_wq, &queue->rerun);
}

// Looks for requests past their time once a second while any is in flight.
static bool check_timeout(struct request *rq, void *data) {
  struct request_queue *q = data;
  if (rq->q != q || rq->state != MQ_RQ_IN_FLIGHT || time_before(jiffies, rq->deadline)) return true;
  rq->deadline = jiffies + (rq->timeout ?: q->rq_timeout);
  if (q->mq_ops->timeout && q->mq_ops->timeout(rq) == BLK_EH_DONE) shim_wake(q->tag_set);
  return true;
}
static void on_timeout_work(struct work_struct *work) {
  struct request_queue *q = container_of(work, struct request_queue, timeout_work);
  blk_mq_tagset_busy_iter(q->tag_set, check_timeout, q);
  if (of(q)->in_flight) mod_timer(&of(q)->timeout, jiffies + HZ);
}
// A driver without room and without a request in flight reports that only once, so the queue is
// tried again soon.
static void on_retry(struct timer_list *timer) {
  struct queue *queue = from_timer(queue, timer, retry);
  rerun(queue);
}
static void on_timeout(struct timer_list *timer) {
  struct queue *queue = from_timer(queue, timer, timeout);
  queue_work_on(0, system_unbound_wq, &queue->q.timeout_work);  // the driver's handler may sleep
}

struct request_queue *blk_mq_init_queue(struct blk_mq_tag_set *set) {
  struct queue *queue = kzalloc(sizeof(*queue), GFP_KERNEL);
  if (!queue) return ERR_PTR(-ENOMEM);
  struct request_queue *q = &queue->q;
  queue->contexts = kcalloc(set->nr_hw_queues, sizeof(struct blk_mq_hw_ctx), GFP_KERNEL);
  if (!queue->contexts) {
    kfree(queue);
    return ERR_PTR(-ENOMEM);
  }
  INIT_LIST_HEAD(&queue->waiting);
  INIT_WORK(&queue->rerun, rerun_queue);
  INIT_WORK(&q->timeout_work, on_timeout_work);
  timer_setup(&queue->timeout, on_timeout, 0);
  timer_setup(&queue->retry, on_retry, 0);
  q->q_usage_counter.percpu_count_ptr = (unsigned long)&queue->users;
  xa_init(&q->hctx_table);
  q->mq_ops = set->ops;
  q->tag_set = set;
  q->nr_hw_queues = set->nr_hw_queues;
  q->rq_timeout = set->timeout ?: 30 * HZ;
  q->limits.logical_block_size = 512;
  q->limits.max_hw_sectors = BLK_SAFE_MAX_SECTORS;
  q->limits.max_segments = BLK_MAX_SEGMENTS;
  q->limits.max_segment_size = BLK_MAX_SEGMENT_SIZE;
  q->limits.seg_boundary_mask = BLK_SEG_BOUNDARY_MASK;
  kref_init(&q->kobj.kref);
  for (unsigned int i = 0; i < set->nr_hw_queues; i++) {
    struct blk_mq_hw_ctx *hctx = &queue->contexts[i];
    hctx->queue = q;
    hctx->tags = set->tags[i];
    hctx->queue_num = i;
    hctx->nr_ctx = 1;
    xa_store(&q->hctx_table, i, hctx, GFP_KERNEL);
    if (set->ops->init_hctx) set->ops->init_hctx(hctx, set->driver_data, i);
  }
  queue->context_count = set->nr_hw_queues;
  return q;
}
void blk_mq_destroy_queue(struct request_queue *q) {
  of(q)->dying = true;
  set_bit(QUEUE_FLAG_DYING, &q->queue_flags);
  timer_delete_sync(&of(q)->retry);
  blk_sync_queue(q);
  shim_wake(q->tag_set);
}
void blk_put_queue(struct request_queue *q) {}  // queues are few and stay: late completions may still look at them
void blk_sync_queue(struct request_queue *q) {
  timer_delete_sync(&of(q)->timeout);
  cancel_work_sync(&q->timeout_work);
}

// ---- requests ----
static void prepare(struct request *rq, struct request_queue *q, struct blk_mq_hw_ctx *hctx, blk_opf_t opf) {
  rq->q = q;
  rq->mq_hctx = hctx;
  rq->cmd_flags = opf;
  rq->rq_flags = 0;
  rq->bio = rq->biotail = NULL;
  rq->__data_len = 0;
  rq->__sector = 0;
  rq->nr_phys_segments = 0;
  rq->end_io = NULL;
  rq->end_io_data = NULL;
  rq->timeout = 0;
  rq->state = MQ_RQ_IDLE;
  INIT_LIST_HEAD(&rq->queuelist);
  hctx->tags->rqs[rq->tag] = rq;
}
// Returns a free request, or NULL if every tag is taken. Any context.
struct request *shim_try_request(struct request_queue *q, blk_opf_t opf) {
  struct blk_mq_hw_ctx *hctx = &of(q)->contexts[0];
  unsigned long flags;
  local_irq_save(flags);
  unsigned int tag = of(q)->frozen || of(q)->dying ? hctx->tags->nr_tags
                                                   : find_first_zero_bit(busy_of(hctx->tags), hctx->tags->nr_tags);
  if (tag < hctx->tags->nr_tags) __set_bit(tag, busy_of(hctx->tags));
  local_irq_restore(flags);
  if (tag >= hctx->tags->nr_tags) return NULL;
  of(q)->in_flight++;
  prepare(hctx->tags->static_rqs[tag], q, hctx, opf);
  return hctx->tags->static_rqs[tag];
}
struct request *blk_mq_alloc_request(struct request_queue *q, blk_opf_t opf, blk_mq_req_flags_t flags) {
  for (;;) {
    struct request *rq = shim_try_request(q, opf);
    if (rq) return rq;
    if (of(q)->dying) return ERR_PTR(-ENODEV);
    if (flags & BLK_MQ_REQ_NOWAIT) return ERR_PTR(-EWOULDBLOCK);
    shim_wait(q->tag_set, ~0UL);
  }
}
struct request *blk_mq_alloc_request_hctx(struct request_queue *q, blk_opf_t opf, blk_mq_req_flags_t flags,
                                          unsigned int index) {
  return blk_mq_alloc_request(q, opf, flags);
}
u32 blk_mq_unique_tag(struct request *rq) {
  return rq->mq_hctx->queue_num << BLK_MQ_UNIQUE_TAG_BITS | (rq->tag & BLK_MQ_UNIQUE_TAG_MASK);
}
void blk_mq_free_request(struct request *rq) {
  struct queue *queue = of(rq->q);
  while (rq->bio) {
    struct bio *next = rq->bio->bi_next;
    kfree(rq->bio);
    rq->bio = next;
  }
  rq->state = MQ_RQ_IDLE;
  clear_bit(rq->tag, busy_of(rq->mq_hctx->tags));
  queue->in_flight--;
  rerun(queue);
  shim_wake(rq->q->tag_set);
}

// ---- data of a request: one run of memory, cut where the queue's limits require it ----
// Counts the segments. If `last` is given, writes them from *last on and leaves it at the final
// one.
static unsigned int each_segment(struct request *rq, struct scatterlist **last) {
  const struct bio_vec *run = rq->bio->bi_io_vec;
  u64 address = page_to_phys(run->bv_page) + run->bv_offset, boundary = queue_segment_boundary(rq->q);
  unsigned int left = run->bv_len, most = queue_max_segment_size(rq->q) & PAGE_MASK, count = 0;
  for (; left; count++) {
    unsigned int part = min_t(u64, min(left, most), boundary - (address & boundary) + 1);
    if (last) {
      if (count) *last = sg_next(*last);
      sg_set_page(*last, pfn_to_page(address >> PAGE_SHIFT), part, offset_in_page(address));
    }
    address += part;
    left -= part;
  }
  return count;
}
static unsigned long in_place;  // bytes of requests, since the start
int shim_map_memory(struct request *rq, void *memory, unsigned int bytes) {
  struct bio *bio = kzalloc(sizeof(*bio) + sizeof(struct bio_vec), GFP_ATOMIC);
  if (!bio) return -ENOMEM;
  bio->bi_io_vec = (struct bio_vec *)(bio + 1);
  bio->bi_io_vec[0] = (struct bio_vec){
      .bv_page = virt_to_page(memory), .bv_offset = offset_in_page(memory), .bv_len = bytes};
  bio->bi_vcnt = bio->bi_max_vecs = 1;
  bio->bi_iter.bi_size = bytes;
  bio->bi_iter.bi_sector = rq->__sector;
  bio->bi_opf = rq->cmd_flags;
  rq->bio = rq->biotail = bio;
  rq->__data_len = bytes;
  rq->nr_phys_segments = each_segment(rq, NULL);
  in_place += bytes;
  return 0;
}
unsigned long shim_in_place(void) { return in_place; }
int blk_rq_map_kern(struct request_queue *q, struct request *rq, void *memory, unsigned int bytes, gfp_t flags) {
  return shim_map_memory(rq, memory, bytes);
}
int __blk_rq_map_sg(struct request_queue *q, struct request *rq, struct scatterlist *list, struct scatterlist **last) {
  *last = list;
  int count = each_segment(rq, last);
  sg_mark_end(*last);
  return count;
}
// The first `bytes` are done. Returns true if some are left, which the caller then issues. An error
// stays with the request even if the rest succeeds, as Linux's bio would keep it.
bool blk_update_request(struct request *rq, blk_status_t status, unsigned int bytes) {
  struct bio *bio = rq->bio;
  if (!bio) return false;
  if (status) bio->bi_status = status;
  bytes = min(bytes, rq->__data_len);
  struct bio_vec *run = bio->bi_io_vec;
  unsigned long address = page_to_phys(run->bv_page) + run->bv_offset + bytes;
  *run = (struct bio_vec){.bv_page = pfn_to_page(address >> PAGE_SHIFT),
                          .bv_offset = offset_in_page(address),
                          .bv_len = run->bv_len - bytes};
  rq->__data_len -= bytes;
  if (!blk_rq_is_passthrough(rq)) rq->__sector += bytes >> SECTOR_SHIFT;
  rq->nr_phys_segments = each_segment(rq, NULL);
  return rq->__data_len > 0;
}

// ---- issuing and ending ----
static void put_back(struct request *rq) {
  unsigned long flags;
  local_irq_save(flags);
  rq->state = MQ_RQ_IDLE;
  list_add_tail(&rq->queuelist, &of(rq->q)->waiting);
  local_irq_restore(flags);
}
// SCSI counts the requests that each device and host may hold, so a request needs a token of that
// budget.
static blk_status_t hand_over(struct request *rq) {
  struct blk_mq_queue_data data = {.rq = rq, .last = true};
  const struct blk_mq_ops *ops = rq->q->mq_ops;
  int token = ops->get_budget ? ops->get_budget(rq->q) : 0;
  if (token < 0) return BLK_STS_RESOURCE;
  if (ops->set_rq_budget_token) ops->set_rq_budget_token(rq, token);
  return ops->queue_rq(rq->mq_hctx, &data);  // gives the token back if it does not take the request
}
static void issue(struct request *rq) {
  struct queue *queue = of(rq->q);
  if (!timer_pending(&queue->timeout)) mod_timer(&queue->timeout, jiffies + HZ);
  if (queue->quiesced) return put_back(rq);
  blk_status_t status = hand_over(rq);
  if (status == BLK_STS_RESOURCE && !timer_pending(&queue->retry)) mod_timer(&queue->retry, jiffies + 1);
  if (status == BLK_STS_RESOURCE || status == BLK_STS_DEV_RESOURCE) return put_back(rq);
  if (status != BLK_STS_OK) blk_mq_end_request(rq, status);
}
void blk_execute_rq_nowait(struct request *rq, bool at_head) { issue(rq); }

struct sync_end {
  bool done;
  blk_status_t status;
};
static enum rq_end_io_ret end_sync(struct request *rq, blk_status_t status) {
  struct sync_end *end = rq->end_io_data;
  end->status = status;
  end->done = true;
  shim_wake(end);
  return RQ_END_IO_NONE;
}
blk_status_t blk_execute_rq(struct request *rq, bool at_head) {
  struct sync_end end = {};
  rq->end_io = end_sync;
  rq->end_io_data = &end;
  issue(rq);
  shim_wait_until(&end, READ_ONCE(end.done), ~0UL);
  return end.status;
}

void blk_mq_start_request(struct request *rq) {
  rq->deadline = jiffies + (rq->timeout ?: rq->q->rq_timeout);
  rq->state = MQ_RQ_IN_FLIGHT;
}
bool blk_mq_complete_request_remote(struct request *rq) {
  rq->state = MQ_RQ_COMPLETE;
  return false;  // the caller completes it here, on the one CPU
}
void blk_mq_complete_request(struct request *rq) {
  rq->state = MQ_RQ_COMPLETE;
  rq->q->mq_ops->complete(rq);
}
void blk_mq_end_request(struct request *rq, blk_status_t status) {
  if (rq->bio && rq->bio->bi_status) status = rq->bio->bi_status;
  if (rq->end_io && rq->end_io(rq, status) != RQ_END_IO_FREE) return rerun(of(rq->q));
  blk_mq_free_request(rq);
}
void __blk_mq_end_request(struct request *rq, blk_status_t status) { blk_mq_end_request(rq, status); }
void blk_mq_end_request_batch(struct io_comp_batch *batch) {
  struct request *rq;
  while ((rq = rq_list_pop(&batch->req_list))) blk_mq_end_request(rq, BLK_STS_OK);
}
void blk_mq_requeue_request(struct request *rq, bool kick) {
  put_back(rq);
  if (kick) rerun(of(rq->q));
}
// For libata: the time of this request is over now, and the timeout handler passes it to the error
// handler.
void blk_abort_request(struct request *rq) {
  WRITE_ONCE(rq->deadline, jiffies);
  queue_work_on(0, system_unbound_wq, &rq->q->timeout_work);
}
int kblockd_schedule_work(struct work_struct *work) { return queue_work_on(0, system_wq, work); }
void blk_mq_run_hw_queues(struct request_queue *q, bool async) { rerun(of(q)); }
void blk_mq_delay_run_hw_queues(struct request_queue *q, unsigned long ms) {
  mod_timer(&of(q)->retry, jiffies + msecs_to_jiffies(ms));
}
void blk_mq_delay_kick_requeue_list(struct request_queue *q, unsigned long ms) { rerun(of(q)); }

// ---- stopping and starting ----
void blk_mq_quiesce_queue(struct request_queue *q) { of(q)->quiesced = true; }
void blk_mq_quiesce_queue_nowait(struct request_queue *q) { of(q)->quiesced = true; }
void blk_mq_wait_quiesce_done(struct request_queue *q) {}
void blk_mq_unquiesce_queue(struct request_queue *q) {
  of(q)->quiesced = false;
  rerun(of(q));
}
void blk_mq_stop_hw_queue(struct blk_mq_hw_ctx *hctx) {}  // BLK_STS_DEV_RESOURCE says the same
void blk_mq_start_stopped_hw_queues(struct request_queue *q, bool async) { rerun(of(q)); }
void blk_freeze_queue_start(struct request_queue *q) { of(q)->frozen++; }
void blk_mq_freeze_queue_wait(struct request_queue *q) { shim_wait_until(q->tag_set, of(q)->in_flight == 0, ~0UL); }
int blk_mq_freeze_queue_wait_timeout(struct request_queue *q, unsigned long timeout) {
  return shim_wait_until(q->tag_set, of(q)->in_flight == 0, shim_host_ns() + jiffies_to_nsecs(timeout)) ? 1 : 0;
}
void blk_mq_freeze_queue(struct request_queue *q) {
  blk_freeze_queue_start(q);
  blk_mq_freeze_queue_wait(q);
}
void blk_mq_unfreeze_queue(struct request_queue *q) {
  if (--of(q)->frozen == 0) shim_resume(q);
  shim_wake(q->tag_set);
}

static const struct {
  blk_status_t status;
  int error;
} kErrors[] = {
    {BLK_STS_OK, 0},           {BLK_STS_NOTSUPP, -EOPNOTSUPP}, {BLK_STS_TIMEOUT, -ETIMEDOUT},
    {BLK_STS_NOSPC, -ENOSPC},  {BLK_STS_TRANSPORT, -ENOLINK},  {BLK_STS_TARGET, -EREMOTEIO},
    {BLK_STS_MEDIUM, -ENODATA}, {BLK_STS_RESOURCE, -ENOMEM},   {BLK_STS_AGAIN, -EAGAIN},
};
int blk_status_to_errno(blk_status_t status) {
  for (int i = 0; i < ARRAY_SIZE(kErrors); i++) {
    if (kErrors[i].status == status) return kErrors[i].error;
  }
  return -EIO;
}
bool blk_rq_is_poll(struct request *rq) { return false; }
