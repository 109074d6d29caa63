// SPDX-License-Identifier: GPL-2.0-or-later
// The shim's own behaviour, in a process under sanitizers, against Linux's real headers: memory, clocks,
// timers, work queues, locks and their order, socket buffers, DMA.
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/etherdevice.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <net/checksum.h>
#include <linux/dmapool.h>
#include <linux/interrupt.h>
#include <linux/kthread.h>
#include <linux/rwsem.h>
#include <linux/scatterlist.h>
#include <linux/skbuff.h>
#include <linux/timer.h>
#include <linux/usb.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "drivers/linux/shim/shim.h"

void shim_test_failed(const char *text, int line);  // tests/shim/host.cpp
#define CHECK(condition) ((condition) ? (void)0 : shim_test_failed(#condition, __LINE__))

// Waits up to five seconds for what other threads are to bring about.
#define CHECK_SOON(condition)                                          \
  do {                                                                 \
    for (int i_ = 0; !(condition) && i_ < 1000; i_++) msleep(5);       \
    CHECK(condition);                                                  \
  } while (0)

bool shim_run_napi(void) { return false; }  // no network device here

static unsigned long used(void) {
  unsigned long in_use, total;
  shim_memory_use(&in_use, &total);
  return in_use;
}

// ---- USB: the list ends where the core never started ----
static int usb_result;
int usb_for_each_dev(void *data, int (*visit)(struct usb_device *, void *)) { return usb_result; }
static void test_usb_list(void) {
  struct shim_usb_info row;
  for (usb_result = -EINVAL; usb_result <= 0; usb_result += EINVAL) CHECK(shim_usb_info(0, &row) == -ENODEV);
  usb_result = 1;
  CHECK(shim_usb_info(0, &row) == 0);
}

// ---- memory ----
static void test_memory(void) {
  unsigned long in_use, total;
  shim_memory_use(&in_use, &total);
  CHECK(total == 16 << 20);  // less than asked for: tests/shim/host.cpp has no more
  unsigned long before = used();
  for (size_t size = 1; size < 70000; size = size * 3 / 2 + 1) {
    u8 *memory = kmalloc(size, GFP_KERNEL);
    CHECK(memory && ksize(memory) >= size);
    memset(memory, 0x5a, size);
    memory = krealloc(memory, size * 2, GFP_KERNEL);
    CHECK(memory && memory[0] == 0x5a && memory[size - 1] == 0x5a);
    kfree(memory);
    memory = kzalloc(size, GFP_KERNEL);
    CHECK(memory && !memchr_inv(memory, 0, size));
    kfree(memory);
  }
  // Called from assembly that counts on every register but the result's.
  DECLARE_BITMAP(bits, 130) = {};
  bitmap_set(bits, 3, 126);
  CHECK(bitmap_weight(bits, 130) == 126 && hweight32(0xf0f) == 8);
  struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP, 3);
  CHECK(page && page_count(page) == 1 && page->private == 0);
  CHECK(((unsigned long)page_address(page) & (8 * PAGE_SIZE - 1)) == 0);
  get_page(page + 5);  // any page of the run counts for all
  CHECK(page_count(page) == 2);
  put_page(page + 2);
  put_page(page);
  CHECK(used() < before + 64 * PAGE_SIZE);  // slabs keep a page an order
  CHECK(kmalloc(1UL << 40, GFP_KERNEL) == NULL);
}

// ---- timers ----
static int order[8], fired;
struct numbered {
  struct timer_list timer;
  int number;
};
static void on_timer(struct timer_list *timer) { order[fired++] = container_of(timer, struct numbered, timer)->number; }
static void test_timers(void) {
  struct numbered timers[4];
  for (int i = 0; i < 4; i++) {
    timers[i].number = i;
    timer_setup(&timers[i].timer, on_timer, 0);
  }
  CHECK(mod_timer(&timers[0].timer, jiffies + msecs_to_jiffies(60)) == 0);
  mod_timer(&timers[1].timer, jiffies + msecs_to_jiffies(20));
  mod_timer(&timers[2].timer, jiffies + msecs_to_jiffies(40));
  mod_timer(&timers[3].timer, jiffies + msecs_to_jiffies(30));
  CHECK(timer_pending(&timers[3].timer) && timer_delete_sync(&timers[3].timer) == 1);
  CHECK(timer_delete(&timers[3].timer) == 0);
  CHECK(mod_timer(&timers[1].timer, jiffies + msecs_to_jiffies(100)) == 1);  // later than first said
  CHECK_SOON(fired == 3);
  CHECK( order[0] == 2 && order[1] == 0 && order[2] == 1);
  CHECK(!timer_pending(&timers[0].timer));
}
static int tasklets;
static void on_tasklet(struct tasklet_struct *tasklet) { tasklets++; }
static void test_tasklets(void) {
  struct tasklet_struct tasklet;
  tasklet_setup(&tasklet, on_tasklet);
  tasklet_schedule(&tasklet);
  tasklet_schedule(&tasklet);  // once, as long as it has not run
  CHECK_SOON(tasklets == 1);
  tasklet_hi_schedule(&tasklet);
  CHECK_SOON(tasklets == 2);
}

// ---- work queues ----
struct job {
  struct work_struct work;
  int runs, inside, most_inside;
  struct completion *wait_for;
};
static void run_job(struct work_struct *work) {
  struct job *job = container_of(work, struct job, work);
  job->most_inside = max(job->most_inside, ++job->inside);
  if (job->wait_for) wait_for_completion(job->wait_for);
  msleep(10);
  job->inside--;
  job->runs++;
}
static int ordered_inside, ordered_most;
static void run_ordered(struct work_struct *work) {
  ordered_most = max(ordered_most, ++ordered_inside);
  msleep(5);
  ordered_inside--;
}
static void test_workqueues(void) {
  struct job a = {}, b = {};
  DECLARE_COMPLETION_ONSTACK(go);
  INIT_WORK(&a.work, run_job);
  INIT_WORK(&b.work, run_job);
  CHECK(schedule_work(&a.work) && !schedule_work(&a.work));  // pending: once
  flush_work(&a.work);
  CHECK(a.runs == 1);
  a.wait_for = &go;  // a work may wait for another of its queue
  schedule_work(&a.work);
  CHECK_SOON(a.inside == 1);
  schedule_work(&a.work);  // again while it runs: not at the same time
  schedule_work(&b.work);
  flush_work(&b.work);
  CHECK(b.runs == 1 && a.runs == 1);
  complete_all(&go);
  flush_work(&a.work);
  CHECK(a.runs == 3 && a.most_inside == 1);

  struct work_struct works[4];
  struct workqueue_struct *queue = alloc_ordered_workqueue("ordered", 0);
  for (int i = 0; i < 4; i++) {
    INIT_WORK(&works[i], run_ordered);
    queue_work(queue, &works[i]);
  }
  flush_workqueue(queue);
  CHECK(ordered_most == 1 && ordered_inside == 0);
  destroy_workqueue(queue);
}
static int delayed_runs;
static void run_delayed(struct work_struct *work) { delayed_runs++; }
static void test_delayed_works(void) {
  struct delayed_work work;
  INIT_DELAYED_WORK(&work, run_delayed);
  CHECK(schedule_delayed_work(&work, msecs_to_jiffies(20)) && !schedule_delayed_work(&work, 1));
  CHECK(cancel_delayed_work_sync(&work) && !cancel_delayed_work_sync(&work));
  msleep(40);
  CHECK(delayed_runs == 0);
  schedule_delayed_work(&work, msecs_to_jiffies(10000));
  CHECK(mod_delayed_work(system_wq, &work, msecs_to_jiffies(8)));
  CHECK_SOON(delayed_runs == 1);
  schedule_delayed_work(&work, msecs_to_jiffies(10000));
  flush_delayed_work(&work);
  CHECK(delayed_runs == 2);
  queue_delayed_work(system_freezable_wq, &work, msecs_to_jiffies(20));
  CHECK(shim_works_left());  // the search for devices goes on
  cancel_delayed_work_sync(&work);
  CHECK(!shim_works_left());
}

// ---- locks ----
static DEFINE_MUTEX(counter_lock);
static int counter, ended;
static DECLARE_WAIT_QUEUE_HEAD(all_ended);
static int count_up(void *unused) {
  for (int i = 0; i < 20; i++) {
    mutex_lock(&counter_lock);
    int seen = counter;
    msleep(1);  // others run here
    counter = seen + 1;
    mutex_unlock(&counter_lock);
  }
  ended++;
  wake_up(&all_ended);
  return 7;
}
static int wait_for_stop(void *unused) {
  while (!kthread_should_stop()) {
    set_current_state(TASK_INTERRUPTIBLE);
    schedule();
  }
  return 42;
}
static void test_locks(void) {
  for (int i = 0; i < 3; i++) CHECK(!IS_ERR(kthread_run(count_up, NULL, "count%d", i)));
  wait_event(all_ended, ended == 3);
  CHECK(counter == 60 && !mutex_is_locked(&counter_lock));
  CHECK(mutex_trylock(&counter_lock) && !mutex_trylock(&counter_lock));
  mutex_unlock(&counter_lock);
  CHECK(wait_event_timeout(all_ended, false, msecs_to_jiffies(20)) == 0);

  struct rw_semaphore readers;
  init_rwsem(&readers);
  down_read(&readers);
  down_read(&readers);  // readers share
  up_read(&readers);
  up_read(&readers);
  down_write(&readers);
  up_write(&readers);

  DECLARE_COMPLETION_ONSTACK(done);
  CHECK(wait_for_completion_timeout(&done, msecs_to_jiffies(20)) == 0);
  complete(&done);
  CHECK(wait_for_completion_timeout(&done, msecs_to_jiffies(20)) > 0);
  struct task_struct *task = kthread_run(wait_for_stop, NULL, "stop");
  msleep(5);
  CHECK(kthread_stop(task) == 42);
}
static DEFINE_MUTEX(outer);
static DEFINE_MUTEX(inner);
static DEFINE_MUTEX(third);
static void nest(struct mutex *first, struct mutex *second) {
  mutex_lock(first);
  mutex_lock(second);
  mutex_unlock(second);
  mutex_unlock(first);
}
static void test_lock_order(void) {
  int before = shim_lock_inversions();
  CHECK(before == 0);  // nothing above took locks the wrong way round
  nest(&outer, &inner);
  nest(&inner, &third);
  nest(&outer, &third);
  CHECK(shim_lock_inversions() == before);
  nest(&third, &outer);  // planted: third is under inner, which is under outer
  CHECK(shim_lock_inversions() == before + 1);
  nest(&third, &outer);
  CHECK(shim_lock_inversions() == before + 1);  // told once
  struct mutex near, next;
  mutex_init(&near);
  mutex_init(&next);  // the class keys of both may lie at one address
  nest(&near, &next);
  nest(&next, &near);
  CHECK(shim_lock_inversions() == before + 2);
}

// ---- socket buffers ----
static void test_skb(void) {
  struct sk_buff *skb = alloc_skb(200, GFP_KERNEL);
  skb_reserve(skb, 32);
  u8 *at = skb_put(skb, 100);
  for (int i = 0; i < 100; i++) at[i] = i;
  CHECK(skb->len == 100 && skb_headroom(skb) == 32);
  CHECK(skb_push(skb, 4) == at - 4 && skb->len == 104);
  skb_pull_inline(skb, 4);
  skb_trim(skb, 60);
  CHECK(skb->len == 60 && !skb_pad(skb, 4) && skb_tail_pointer(skb)[3] == 0);
  struct page *page = alloc_page(GFP_KERNEL);
  memset(page_address(page), 0xaa, PAGE_SIZE);
  get_page(page);
  skb_add_rx_frag(skb, 0, page, 100, 300, 300);
  CHECK(skb->len == 360 && skb->data_len == 300);
  u8 copy[360];
  CHECK(skb_copy_bits(skb, 0, copy, 360) == 0 && copy[59] == 59 && copy[60] == 0xaa && copy[359] == 0xaa);
  CHECK(skb_copy_bits(skb, 1, copy, 360) == -EFAULT);
  CHECK(__pskb_pull_tail(skb, 20) && skb_headlen(skb) == 80 && skb->data_len == 280);
  CHECK(skb_frag_off(&skb_shinfo(skb)->frags[0]) == 120 && skb->data[79] == 0xaa);
  skb_get(skb);
  kfree_skb(skb);
  CHECK(page_count(page) == 2);  // somebody else still holds the buffer
  kfree_skb(skb);
  CHECK(page_count(page) == 1);
  put_page(page);
  void *data = kmalloc(1024, GFP_KERNEL);
  skb = build_skb(data, 1024);
  CHECK(skb && skb->head == data);
  skb->head_frag = 0;  // the area came of kmalloc
  kfree_skb(skb);
}

// ---- joined TCP frames, partial checksums ----
enum { kPiece = 1000, kHeaders = ETH_HLEN + sizeof(struct iphdr) + sizeof(struct tcphdr) };

static unsigned int make_frame(u8 *frame, u32 sequence, unsigned int payload) {
  memset(frame, 0, kHeaders);
  ((struct ethhdr *)frame)->h_proto = htons(ETH_P_IP);
  struct iphdr *ip = (struct iphdr *)(frame + ETH_HLEN);
  *ip = (struct iphdr){.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP, .saddr = htonl(1), .daddr = htonl(2)};
  ip->tot_len = htons(kHeaders - ETH_HLEN + payload);
  struct tcphdr *tcp = (struct tcphdr *)(ip + 1);
  *tcp = (struct tcphdr){.source = htons(80), .dest = htons(81), .seq = htonl(sequence), .doff = 5, .ack = 1};
  for (unsigned int i = 0; i < payload; i++) frame[kHeaders + i] = (u8)(sequence + i);
  return kHeaders + payload;
}
static struct sk_buff *frame_skb(struct net_device *device, u32 sequence, unsigned int payload) {
  struct sk_buff *skb = __alloc_skb(2048, GFP_KERNEL, 0, 0);
  skb->dev = device;
  skb_put(skb, make_frame(skb->data, sequence, payload));
  return skb;
}
static bool joins(struct net_device *device, u32 sequence, unsigned int payload, u8 flags) {
  u8 frame[2048];
  struct sk_buff *skb = frame_skb(device, 0xfffffff0, kPiece);
  unsigned int bytes = make_frame(frame, sequence, payload);
  frame[ETH_HLEN + sizeof(struct iphdr) + 13] |= flags;
  bool joined = shim_join(&skb, frame, bytes);
  kfree_skb(skb);
  return joined;
}
static void test_joined_frames(void) {
  static struct net_device device = {.features = NETIF_F_TSO, .gso_max_size = 65536}, plain = {.gso_max_size = 65536};
  u32 next = 0xfffffff0 + kPiece;  // the sequence number goes round in it
  CHECK(joins(&device, next, kPiece, 0) && joins(&device, next, 1, 0) && !joins(&plain, next, kPiece, 0));
  CHECK(!joins(&device, next + 1, kPiece, 0) && !joins(&device, next, kPiece + 1, 0));
  CHECK(!joins(&device, next, kPiece, 1) && !joins(&device, next, kPiece, 4) && joins(&device, next, kPiece, 8));  // FIN, RST, PSH
  CHECK(!joins(&device, next, 0, 0));
  u8 frame[2048];
  struct sk_buff *skb = frame_skb(&device, 5, kPiece);
  unsigned int count = 1;
  while (shim_join(&skb, frame, make_frame(frame, 5 + count * kPiece, kPiece))) count++;
  CHECK(count == ((63 << 10) - kHeaders) / kPiece && skb->len == kHeaders + count * kPiece);
  for (unsigned int i = 0; i < count * kPiece; i++) CHECK(skb->data[kHeaders + i] == (u8)(5 + i % kPiece + i / kPiece * kPiece));
  shim_finish_joined(skb);
  CHECK(skb_shinfo(skb)->gso_size == kPiece && skb_shinfo(skb)->gso_segs == count && skb_is_gso(skb));
  CHECK(ip_fast_csum(ip_hdr(skb), 5) == 0 && ntohs(ip_hdr(skb)->tot_len) == skb->len - ETH_HLEN);
  // As the card does it: the sum over all, with the pseudo header's already in place.
  CHECK(skb_partial_csum_set(skb, kHeaders - sizeof(struct tcphdr), offsetof(struct tcphdr, check)));
  shim_fill_checksum(skb, skb->data);
  __wsum sum = csum_partial(tcp_hdr(skb), skb->len - ETH_HLEN - sizeof(struct iphdr), 0);
  CHECK(csum_tcpudp_magic(ip_hdr(skb)->saddr, ip_hdr(skb)->daddr, skb->len - ETH_HLEN - sizeof(struct iphdr), IPPROTO_TCP, sum) == 0);
  kfree_skb(skb);
  skb = frame_skb(&device, 5, 700);  // the short one closes it
  CHECK(shim_join(&skb, frame, make_frame(frame, 705, 600)) && !shim_join(&skb, frame, make_frame(frame, 1305, 100)));
  kfree_skb(skb);
  u8 odd[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  CHECK(csum_fold(csum_partial(odd, 9, 0)) == (__sum16)~htons(0x1914));  // 0102+0304+0506+0708+0900
}

// ---- DMA ----
static void test_dma(void) {
  u64 mask = DMA_BIT_MASK(64);
  struct device device = {.dma_mask = &mask};
  dma_addr_t handle;
  void *ring = dma_alloc_coherent(&device, 3 * PAGE_SIZE, &handle, GFP_KERNEL);
  CHECK(ring && (handle & (4 * PAGE_SIZE - 1)) == 0 && !memchr_inv(ring, 0, 3 * PAGE_SIZE));
  dma_free_coherent(&device, 3 * PAGE_SIZE, ring, handle);
  unsigned long used, used_after, total;
  shim_memory_use(&used, &total);
  device.coherent_dma_mask = DMA_BIT_MASK(32);  // the arena lies above
  CHECK(!dma_alloc_coherent(&device, 3 * PAGE_SIZE, &handle, GFP_KERNEL) && handle == DMA_MAPPING_ERROR);
  device.coherent_dma_mask = DMA_BIT_MASK(64);
  shim_memory_use(&used_after, &total);
  CHECK(used_after == used);
  u8 *memory = kmalloc(256, GFP_KERNEL);
  handle = dma_map_single(&device, memory, 256, DMA_TO_DEVICE);
  CHECK(handle == (dma_addr_t)memory);  // in place
  CHECK(!dma_mapping_error(&device, handle));
  shim_starve_dma(1);
  CHECK(dma_mapping_error(&device, dma_map_single(&device, memory, 256, DMA_TO_DEVICE)));
  CHECK(!dma_mapping_error(&device, dma_map_single(&device, memory, 256, DMA_TO_DEVICE)));
  mask = 0xff;  // the device does not reach the memory
  CHECK(dma_mapping_error(&device, dma_map_single(&device, memory, 256, DMA_TO_DEVICE)));
  mask = DMA_BIT_MASK(64);
  struct scatterlist list[2];
  sg_init_table(list, 2);
  sg_set_buf(&list[0], memory, 100);
  sg_set_buf(&list[1], memory + 100, 156);
  CHECK(dma_map_sg(&device, list, 2, DMA_FROM_DEVICE) == 2 && sg_dma_address(&list[1]) == (dma_addr_t)memory + 100);
  shim_starve_dma(1);
  CHECK(dma_map_sg(&device, list, 2, DMA_FROM_DEVICE) == 0);
  kfree(memory);
  struct dma_pool *pool = dma_pool_create("pool", &device, 48, 64, 0);
  void *block = dma_pool_zalloc(pool, GFP_KERNEL, &handle);
  CHECK(block && (handle & 63) == 0);
  dma_pool_free(pool, block, handle);
  dma_pool_destroy(pool);
}

// Linux's date is the host's (tests/shim/host.cpp), not the time since the start added to it.
static void test_clocks(void) {
  const u64 date = 1800000000123456789;
  struct timespec64 now;
  CHECK(ktime_get_real() == date);
  ktime_get_real_ts64(&now);
  CHECK(now.tv_sec == date / NSEC_PER_SEC && now.tv_nsec == date % NSEC_PER_SEC);
  CHECK(ktime_get_boottime() < date / 2);
}

int shim_test_run(void) {
  static const struct {
    const char *name;
    void (*run)(void);
  } kTests[] = {
      {"memory", test_memory},         {"timers", test_timers},   {"tasklets", test_tasklets},
      {"work queues", test_workqueues}, {"delayed works", test_delayed_works}, {"locks", test_locks},
      {"lock order", test_lock_order}, {"skb", test_skb},         {"joined frames", test_joined_frames}, {"dma", test_dma},
      {"usb list", test_usb_list},
      {"clocks", test_clocks},
  };
  int error = shim_mm_start(32 << 20);
  shim_tick();
  if (!error) error = shim_workqueue_start() ?: shim_softirq_start();
  CHECK(!error);
  for (int i = 0; i < ARRAY_SIZE(kTests); i++) {
    kTests[i].run();
    pr_info("ok %d - %s\n", i + 1, kTests[i].name);
  }
  return ARRAY_SIZE(kTests);
}
