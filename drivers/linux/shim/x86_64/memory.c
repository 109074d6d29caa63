// SPDX-License-Identifier: GPL-2.0-or-later
// Memory as Linux's x86 headers ask for it: where the direct map lies, pages cleared, registers mapped.
#include <linux/io.h>

#include "drivers/linux/shim/shim.h"

unsigned long page_offset_base;  // 0: identity-mapped
unsigned long vmalloc_base;
unsigned long phys_base;  // the image runs where it was linked

// Linux calls these from assembly that gives up rax, rcx and rdi only.
asm(".globl clear_page_orig, clear_page_rep, clear_page_erms\n"
    "clear_page_orig: clear_page_rep: clear_page_erms:\n"
    "  xorl %eax, %eax\n  movl $512, %ecx\n  rep stosq\n  ret\n");

// Device registers: mapped uncached (or write-combining) at their own address, never unmapped.
void __iomem *ioremap(resource_size_t physical, unsigned long size) {
  return (void __iomem *)shim_host_map_device(physical, size, 0);
}
void __iomem *ioremap_wc(resource_size_t physical, unsigned long size) {
  return (void __iomem *)shim_host_map_device(physical, size, 1);
}
void __iomem *ioremap_uc(resource_size_t physical, unsigned long size) { return ioremap(physical, size); }
void memcpy_fromio(void *to, const volatile void __iomem *from, size_t count) {
  for (u8 *at = to; count > 0; count--) *at++ = readb(from++);
}
