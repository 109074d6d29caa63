// SPDX-License-Identifier: GPL-2.0-or-later
// printk and its relatives, which write to the kernel log, one line each. Formatting is Linux's own
// lib/vsprintf.c.
#include <linux/ethtool.h>
#include <linux/netdevice.h>
#include <linux/seq_file.h>

#include "drivers/linux/shim/shim.h"

// Maps Linux's levels (0 emergency … 7 debug) to Marrow's (0 error … 3 debug).
static int our_level(int level) { return level <= 3 ? 0 : level == 4 ? 1 : level <= 6 ? 2 : 3; }

static void print(int level, const char *who, const char *format, va_list args) {
  char line[256];
  int at = who ? scnprintf(line, sizeof(line), "%s: ", who) : 0;
  if (format[0] == KERN_SOH_ASCII && format[1]) {
    if (format[1] >= '0' && format[1] <= '7') level = format[1] - '0';
    format += 2;
  }
  at += vscnprintf(line + at, sizeof(line) - at, format, args);
  while (at > 0 && (line[at - 1] == '\n' || line[at - 1] == '\r')) line[--at] = 0;
  if (at > 0) shim_host_log(our_level(level), line);
}

#define PRINTER(returns, name, parameters, level, who, tail) \
  returns name parameters {                                  \
    va_list args;                                            \
    va_start(args, fmt);                                     \
    print(level, who, fmt, args);                            \
    va_end(args);                                            \
    tail                                                     \
  }
PRINTER(int, _printk, (const char *fmt, ...), 6, NULL, return 0;)
PRINTER(void, _dev_err, (const struct device *d, const char *fmt, ...), 3, dev_name(d), )
PRINTER(void, _dev_warn, (const struct device *d, const char *fmt, ...), 4, dev_name(d), )
PRINTER(void, _dev_notice, (const struct device *d, const char *fmt, ...), 5, dev_name(d), )
PRINTER(void, _dev_info, (const struct device *d, const char *fmt, ...), 6, dev_name(d), )
PRINTER(void, netdev_err, (const struct net_device *d, const char *fmt, ...), 3, d->name, )
PRINTER(void, netdev_warn, (const struct net_device *d, const char *fmt, ...), 4, d->name, )
PRINTER(void, netdev_notice, (const struct net_device *d, const char *fmt, ...), 5, d->name, )
PRINTER(void, netdev_info, (const struct net_device *d, const char *fmt, ...), 6, d->name, )
void netdev_printk(const char *level, const struct net_device *d, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  print(level[0] == KERN_SOH_ASCII && level[1] ? level[1] - '0' : 6, d->name, fmt, args);
  va_end(args);
}
void _dev_printk(const char *level, const struct device *d, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  print(level[0] == KERN_SOH_ASCII && level[1] ? level[1] - '0' : 6, dev_name(d), fmt, args);
  va_end(args);
}
int vprintk(const char *fmt, va_list args) {
  print(6, NULL, fmt, args);
  return 0;
}
void dump_stack(void) {}  // the cause was logged before
void panic(const char *fmt, ...) {
  char line[160];
  va_list args;
  va_start(args, fmt);
  vscnprintf(line, sizeof(line), fmt, args);
  va_end(args);
  shim_host_fatal(line);
}

// At most ten messages in five seconds, as Linux's default.
int ___ratelimit(struct ratelimit_state *state, const char *function) {
  if (!state->interval) return 1;
  if (!state->begin || time_after(jiffies, state->begin + state->interval)) {
    state->begin = jiffies;
    state->printed = 0;
  }
  return state->printed++ < state->burst;
}
int __printk_ratelimit(const char *function) {
  static DEFINE_RATELIMIT_STATE(messages, 5 * HZ, 10);
  return ___ratelimit(&messages, function);
}
static DEFINE_RATELIMIT_STATE(net_messages, 5 * HZ, 10);
int net_ratelimit(void) { return ___ratelimit(&net_messages, __func__); }

// ---- strings built by format ----
char *kasprintf(gfp_t flags, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, args);
  char *text = kmalloc(length + 1, flags);
  if (text) vsnprintf(text, length + 1, format, again);
  va_end(again);
  va_end(args);
  return text;
}
char *kvasprintf(gfp_t flags, const char *format, va_list args) {
  va_list again;
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, args);
  char *text = kmalloc(length + 1, flags);
  if (text) vsnprintf(text, length + 1, format, again);
  va_end(again);
  return text;
}
void ethtool_sprintf(u8 **data, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf((char *)*data, ETH_GSTRING_LEN, format, args);
  va_end(args);
  *data += ETH_GSTRING_LEN;
}

// /proc and debugfs do not exist, so what is printed there goes nowhere.
void seq_printf(struct seq_file *file, const char *format, ...) {}
void seq_putc(struct seq_file *file, char c) {}
void seq_puts(struct seq_file *file, const char *text) {}

// Names for the format %pG. Nothing here prints flags, so the tables are empty.
const struct trace_print_flags pageflag_names[] = {{0, NULL}};
const struct trace_print_flags gfpflag_names[] = {{0, NULL}};
const struct trace_print_flags vmaflag_names[] = {{0, NULL}};
