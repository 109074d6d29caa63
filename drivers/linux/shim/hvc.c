// SPDX-License-Identifier: GPL-2.0-or-later
// Hypervisor consoles: makes each console of virtio_console a console device of Marrow.
#include <linux/tty.h>

#include "drivers/linux/shim/shim.h"
#include "drivers/tty/hvc/hvc_console.h"

enum { kMaxConsoles = 4, kRing = 256 };
static struct console_row {
  struct hvc_struct *hvc;  // NULL once it is gone
  char ring[kRing];        // typed and not yet read
  unsigned int first, last;
} rows[kMaxConsoles];
static int row_count;

struct hvc_struct *hvc_alloc(uint32_t vtermno, int data, const struct hv_ops *ops, int outbuf_size) {
  char name[8];
  if (row_count == kMaxConsoles) return ERR_PTR(-ENOSPC);
  struct hvc_struct *hvc = kzalloc(sizeof(*hvc), GFP_KERNEL);
  if (!hvc) return ERR_PTR(-ENOMEM);
  hvc->vtermno = vtermno;
  hvc->ops = ops;
  hvc->data = data;
  hvc->index = row_count;
  spin_lock_init(&hvc->lock);
  if (ops->notifier_add) ops->notifier_add(hvc, data);
  rows[row_count].hvc = hvc;
  snprintf(name, sizeof(name), "hvc%d", row_count);
  shim_host_add_console(row_count, name);
  row_count++;
  return hvc;
}
int hvc_remove(struct hvc_struct *hvc) {
  rows[hvc->index].hvc = NULL;
  kfree(hvc);
  return 0;
}
// The early console, before the device is found. Marrow has the serial line for that.
int hvc_instantiate(uint32_t vtermno, int index, const struct hv_ops *ops) { return 0; }
void __hvc_resize(struct hvc_struct *hvc, struct winsize size) { hvc->ws = size; }
void hvc_kick(void) { shim_host_console_input(); }
// Takes typed bytes. Interrupt context. Returns nonzero if somebody must be told.
int hvc_poll(struct hvc_struct *hvc) {
  struct console_row *row = &rows[hvc->index];
  char bytes[16];
  int count = 0;
  while (row->last - row->first <= kRing - sizeof(bytes) &&
         (count = hvc->ops->get_chars(hvc->vtermno, bytes, sizeof(bytes))) > 0) {
    for (int i = 0; i < count; i++) row->ring[row->last++ % kRing] = bytes[i];
  }
  return row->last != row->first;
}

void shim_console_write(int index, const char *text, unsigned int bytes) {
  struct hvc_struct *hvc = rows[index].hvc;
  while (hvc && bytes > 0) {
    int sent = hvc->ops->put_chars(hvc->vtermno, text, min(bytes, 512u));
    if (sent <= 0) return;  // the host is not listening
    text += sent;
    bytes -= sent;
  }
}
int shim_console_read(int index) {
  struct console_row *row = &rows[index];
  unsigned long flags;
  local_irq_save(flags);
  if (row->hvc && row->first == row->last) hvc_poll(row->hvc);
  int c = row->first != row->last ? (unsigned char)row->ring[row->first++ % kRing] : -1;
  local_irq_restore(flags);
  return c;
}
