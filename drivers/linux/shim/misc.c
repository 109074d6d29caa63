// SPDX-License-Identifier: GPL-2.0-or-later
// Small functions of Linux's library that are in no file that is built here.
#include <linux/bitops.h>
#include <linux/ctype.h>
#include <linux/crc32.h>
#include <linux/crc32poly.h>
#include <linux/string_helpers.h>
#include <linux/ethtool.h>

#include "drivers/linux/shim/shim.h"

// CRC-32 as Ethernet computes it, bit by bit: drivers hash a handful of multicast addresses.
u32 crc32_le(u32 crc, unsigned char const *bytes, size_t length) {
  while (length--) {
    crc ^= *bytes++;
    for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ CRC32_POLY_LE : crc >> 1;
  }
  return crc;
}
char *skip_spaces(const char *text) {
  while (isspace(*text)) text++;
  return (char *)text;
}
ssize_t memory_read_from_buffer(void *to, size_t count, loff_t *position, const void *from, size_t available) {
  if (*position < 0) return -EINVAL;
  if (*position >= available) return 0;
  count = min_t(size_t, count, available - *position);
  memcpy(to, from + *position, count);
  *position += count;
  return count;
}
// Writes "12.3 MB" for a disk, for one log line of virtio_blk.
void string_get_size(u64 size, u64 block, const enum string_size_units units, char *out, int length) {
  static const char *const kDecimal[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  static const char *const kBinary[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  u64 step = units == STRING_UNITS_10 ? 1000 : 1024, bytes = size * block;
  int i = 0;
  for (; bytes >= step * 10 && i < 5; i++) bytes /= step;
  snprintf(out, length, "%llu %s", (unsigned long long)bytes, (units == STRING_UNITS_10 ? kDecimal : kBinary)[i]);
}
bool ethtool_convert_link_mode_to_legacy_u32(u32 *legacy, const unsigned long *modes) {
  *legacy = modes[0];
  return true;
}
void ethtool_convert_legacy_u32_to_link_mode(unsigned long *modes, u32 legacy) {
  bitmap_zero(modes, __ETHTOOL_LINK_MODE_MASK_NBITS);
  modes[0] = legacy;
}
bool sysfs_streq(const char *a, const char *b) {
  for (; *a && *a == *b; a++, b++) {
  }
  if (*a == *b) return true;
  return (!*a && *b == '\n' && !b[1]) || (*a == '\n' && !a[1] && !*b);
}
int match_string(const char *const *list, size_t count, const char *text) {
  for (size_t i = 0; i < count && list[i]; i++) {
    if (!strcmp(list[i], text)) return i;
  }
  return -EINVAL;
}
