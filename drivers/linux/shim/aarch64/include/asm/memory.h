/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Linux's direct map is our identity map, and struct pages lie where the shim puts them. Linux has
 * constants for both, so they are replaced by 0 and a variable. */
#pragma once
#include_next <asm/memory.h>
#ifndef __ASSEMBLY__
extern unsigned long vmemmap_base;
#undef PAGE_OFFSET
#define PAGE_OFFSET 0UL
#undef VMEMMAP_START
#define VMEMMAP_START vmemmap_base
#undef PHYS_OFFSET
#define PHYS_OFFSET 0UL
#define memstart_addr 0L
#undef __virt_to_phys
#define __virt_to_phys(x) ((phys_addr_t)(x))
#undef __phys_to_virt
#define __phys_to_virt(x) ((unsigned long)(x))
#undef virt_to_phys
#define virt_to_phys(x) ((phys_addr_t)(unsigned long)(x))
#undef phys_to_virt
#define phys_to_virt(x) ((void*)(unsigned long)(x))
#undef virt_addr_valid
#define virt_addr_valid(x) 1
#endif
