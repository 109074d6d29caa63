// SPDX-License-Identifier: GPL-2.0-or-later
// Memory as Linux's arm64 headers ask for it: pages cleared, registers mapped, the fields of tables.
#include <linux/io.h>
#include <linux/mm.h>
#include <net/checksum.h>

#include "drivers/linux/shim/shim.h"

bool arm64_use_ng_mappings;  // of Linux's own page tables, which do not exist

void clear_page(void *page) { memset(page, 0, PAGE_SIZE); }
void flush_dcache_page(struct page *page) {}  // nothing is executed from the page cache

// Device registers: mapped at their own address, never unmapped; all that is not a device's is
// memory that may gather writes.
void __iomem *ioremap_prot(phys_addr_t physical, size_t size, unsigned long how) {
  return (void __iomem *)shim_host_map_device(physical, size, how != PROT_DEVICE_nGnRE);
}
void __memcpy_fromio(void *to, const volatile void __iomem *from, size_t count) {
  for (u8 *at = to; count > 0; count--) *at++ = readb(from++);
}

// The pseudo header of TCP and UDP (RFC 793, 3.1), with its carries added at the end.
__wsum csum_tcpudp_nofold(__be32 from, __be32 to, u32 length, u8 protocol, __wsum sum) {
  u64 all = (__force u32)sum;
  all += (__force u32)from;
  all += (__force u32)to;
  all += (u64)(length + protocol) << 8;  // in network order, on a little-endian machine
  all = (all & 0xffffffff) + (all >> 32);
  return (__force __wsum)(u32)((all & 0xffffffff) + (all >> 32));
}
