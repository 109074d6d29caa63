// SPDX-License-Identifier: GPL-2.0-or-later
// Leads from the first instruction to the first line of C++, on the boot CPU and on every further one.
//
// One file has two formats: an arm64 Linux `Image` (Linux, Documentation/arm64/booting.rst) and a PE/COFF
// EFI application (Microsoft PE format; UEFI 2.10, 2.1.1). It has two entries, image_entry (MMU off, x0 =
// device tree) and efi_entry (called by the firmware). Both take the same steps:
//   1. EL2 is left for EL1. Threads run on SP_EL0, so that a fault never writes to a full stack.
//   2. The load address is added to every pointer in the image, which is linked at 0.
//   3. early_map (paging.cpp) makes page tables of the image and the device tree, with the MMU off.
//   4. MMU and caches are switched on.
//   5. aarch64_entry in entry.cpp is called and never returns.

#define STACK_BYTES 256 * 1024

    .section .head, "ax"
    .globl __kernel_head
__kernel_head:
    ccmp x18, #0, #0xd, pl              // its bytes are "MZ"; changes only the flags
    b image_entry
    .quad 0                             // text_offset: at any multiple of 2 MiB
    .quad image_bytes                   // memory wanted, bss included
    .quad 0xa                           // little endian, 4 KiB pages, anywhere in RAM
    .quad 0, 0, 0
    .ascii "ARM\x64"
    .long pe_header - __kernel_head
pe_header:
    .ascii "PE\0\0"
    .short 0xaa64, 2                    // AArch64; two sections
    .long 0, 0, 0
    .short section_table - optional_header
    .short 0x0206                       // executable, no line numbers, no symbols
optional_header:
    .short 0x020b                       // PE32+
    .byte 1, 0
    .long image_text_bytes, image_data_file_bytes, 0
    .long image_efi_entry
    .long image_text_start
    .quad 0                             // image base: anywhere
    .long 0x1000, 0x200                 // alignment in memory, in the file
    .short 0, 0, 0, 0, 0, 0
    .long 0, image_bytes, 0x1000, 0     // ..., image, headers, no checksum
    .short 10, 0x0100                   // EFI application, NX compatible
    .quad 0, 0, 0, 0
    .long 0, 6
    .quad 0, 0, 0, 0, 0, 0              // no directories: nothing for the loader to relocate
section_table:
    .ascii ".text\0\0\0"
    .long image_text_bytes, image_text_start, image_text_bytes, image_text_start, 0, 0, 0, 0x60000020
    .ascii ".data\0\0\0"
    .long image_data_bytes, image_data_start, image_data_file_bytes, image_data_start, 0, 0, 0, 0xc0000040

    .section .text.boot, "ax"
.macro address register, symbol
    adrp \register, \symbol
    add \register, \register, :lo12:\symbol
.endm

// ---- entry as an `Image`: MMU off, x0 = device tree -------------------------------------------
image_entry:
    msr daifset, #15
    mov x20, x0
    mrs x22, CurrentEL
    mrs x23, cntvct_el0                 // time zero of the boot chart
    bl to_el1
    // A line that the loader left dirty here could be written back over what follows (Arm ARM B2.8).
    address x0, __text_end
    address x1, __kernel_end
    bl clean_lines
    address x0, __bss_start
    address x1, __kernel_end
1:  stp xzr, xzr, [x0], #16
    cmp x0, x1
    b.lo 1b
    bl relocate
    b corridor

// ---- entry as an EFI application: x0 = image, x1 = system table -------------------------------
    .globl efi_entry
efi_entry:
    stp x29, x30, [sp, #-32]!
    stp x0, x1, [sp, #16]
    bl relocate
    ldp x0, x1, [sp, #16]
    bl efi_main                         // efi_main(image, system table)
    ldp x29, x30, [sp], #32
    cbz x0, 2f
    ret                                 // to the firmware, with a status
2:  msr daifset, #15
    mrs x22, CurrentEL
    mrs x23, cntvct_el0
    // The image's lines in the firmware's caches must reach memory before the caches are turned off.
    address x0, __kernel_head
    address x1, __kernel_end
    bl clean_lines
    mov x1, #5                          // SCTLR.M and C
    cmp x22, #8
    b.eq 3f
    mrs x0, sctlr_el1
    bic x0, x0, x1
    msr sctlr_el1, x0
    b 4f
3:  mrs x0, sctlr_el2
    bic x0, x0, x1
    msr sctlr_el2, x0
4:  isb
    ic iallu
    dsb nsh
    isb
    bl to_el1
    address x0, efi_device_tree
    ldr x20, [x0]
    b corridor

// ---- both go on here: x20 = device tree or 0, x22 = CurrentEL at the entry, x23 = ticks -------
corridor:
    msr spsel, #0
    address x0, boot_stack_top
    mov sp, x0
    mov x29, #0                         // the end of every backtrace
    mov x30, #0
    // early_map reads the tree's first 8 bytes, which may still lie in the loader's caches.
    cbz x20, 12f
    mov x0, x20
    add x1, x20, #8
    bl clean_lines
12: mov x0, x20
    bl early_map
    // Data written with the MMU off lies in memory. Older lines of a cache must not hide it
    // (Arm ARM B2.8).
    address x0, __text_end
    address x1, __kernel_end
    bl invalidate_lines
    address x0, mmu_registers
    bl mmu_on
    mov x0, x20
    lsr x1, x22, #2
    mov x2, x23
    bl aarch64_entry                    // aarch64_entry(u64 device_tree, u64 level, u64 ticks)
    udf #0

// Switches the MMU on. x0 = MmuRegisters of paging.cpp: mair, tcr, ttbr0, sctlr. Clobbers x1 to x4.
mmu_on:
    ldp x1, x2, [x0]
    ldp x3, x4, [x0, #16]
    msr mair_el1, x1
    msr tcr_el1, x2
    msr ttbr0_el1, x3
    msr ttbr1_el1, xzr
    mov x1, #3 << 20
    msr cpacr_el1, x1                   // vectors do not trap (FPEN)
    msr fpcr, xzr                       // round to nearest, denormals kept
    // No translation of the loader's may survive (Arm ARM D8.14).
    dsb sy
    tlbi vmalle1
    dsb nsh
    ic iallu
    dsb nsh
    isb
    msr sctlr_el1, x4
    isb
    ret

// ---- entry of a further CPU by PSCI CPU_ON: MMU off, x0 = its CpuStart (smp.cpp) --------------
    .globl secondary_entry
secondary_entry:
    msr daifset, #15
    mov x20, x0
    bl to_el1
    mov x0, x20
    bl mmu_on
    msr spsel, #0
    ldp x1, x0, [x20, #32]              // stack, CpuBlock
    mov sp, x1
    mov x29, #0
    mov x30, #0
    bl secondary_main
    udf #0

// ---- goes from EL2 to EL1t if it is called at EL2. Clobbers x9 to x11 -------------------------
to_el1:
    mrs x9, CurrentEL
    cmp x9, #8
    b.eq at_el2
    msr spsel, #0
    ret
at_el2:
    mov x9, #1 << 31                    // HCR_EL2.RW: EL1 is AArch64; nothing trapped
    msr hcr_el2, x9
    isb
    mrs x9, hcr_el2
    tbnz x9, #34, in_host_mode
    mov x9, #3                          // EL1 may use the physical timer and counter
    msr cnthctl_el2, x9
    msr cntvoff_el2, xzr
    mrs x9, midr_el1
    msr vpidr_el2, x9
    mrs x9, mpidr_el1
    msr vmpidr_el2, x9
    msr hstr_el2, xzr
    msr vttbr_el2, xzr
    mrs x9, mdcr_el2
    and x9, x9, #0x1f                   // HPMN, all counters EL1's; no debug traps
    msr mdcr_el2, x9
    mov x9, #0x32ff                     // CPTR_EL2: no trap of vectors or SVE
    msr cptr_el2, x9
    mrs x10, id_aa64pfr0_el1
    ubfx x9, x10, #32, #4
    cbz x9, 7f
    mov x9, #0x1ff
    msr S3_4_C1_C2_0, x9                // ZCR_EL2: SVE vectors at full length
7:  ubfx x9, x10, #24, #4
    cbz x9, 8f
    mrs x9, S3_4_C12_C9_5               // ICC_SRE_EL2: system registers, also for EL1
    mov x11, #9
    orr x9, x9, x11
    msr S3_4_C12_C9_5, x9
    isb
    msr S3_4_C12_C11_0, xzr             // ICH_HCR_EL2: no virtual interrupts
8:  mrs x10, id_aa64mmfr0_el1
    ubfx x9, x10, #56, #4
    cbz x9, 13f                         // fine-grained traps: none
    msr S3_4_C1_C1_4, xzr               // HFGRTR_EL2
    msr S3_4_C1_C1_5, xzr               // HFGWTR_EL2
    msr S3_4_C1_C1_6, xzr               // HFGITR_EL2
    msr S3_4_C3_C1_4, xzr               // HDFGRTR_EL2
    msr S3_4_C3_C1_5, xzr               // HDFGWTR_EL2
13: mrs x10, id_aa64mmfr1_el1
    ubfx x9, x10, #40, #4
    cbz x9, 14f
    msr S3_4_C1_C2_2, xzr               // HCRX_EL2
14: mov x9, #0x0800
    movk x9, #0x30d0, lsl #16           // SCTLR_EL1: only its RES1 bits
    msr sctlr_el1, x9
    mov x9, #0x3c4                      // EL1t, D A I F masked
    msr spsr_el2, x9
    msr elr_el2, x30
    eret
// E2H is fixed to 1 on this CPU. The names of EL1's registers then mean those of EL2 (FEAT_VHE), which is
// enough to come as far as a console. There aarch64_entry says why the boot ends.
in_host_mode:
    mov x10, #1 << 27                   // TGE: the TLB operations are EL2's, too
    orr x9, x9, x10
    msr hcr_el2, x9
    isb
    msr spsel, #0
    ret

// Adds the load address to each word in the table that ld -pie made.
relocate:
    address x0, __kernel_head           // linked at 0
    address x1, __rela_start
    address x2, __rela_end
9:  cmp x1, x2
    b.hs 10f
    ldp x3, x4, [x1], #16
    ldr x5, [x1], #8
    cmp w4, #1027                       // R_AARCH64_RELATIVE, the only kind (check_image.py)
    b.ne 9b
    add x5, x5, x0
    str x5, [x0, x3]
    b 9b
10: ret

// clean_lines(u64 begin, u64 end) writes every cache line of [begin, end) to memory and drops it.
// invalidate_lines(u64 begin, u64 end) drops the lines without writing them. The first barrier is for
// stores before it that were made with the MMU off: nothing else orders them (Arm ARM D7.5.9).
// Clobbers x0 to x3.
.macro lines name, operation
    .globl \name
\name:
    dsb sy
    mrs x3, ctr_el0
    ubfx x3, x3, #16, #4
    mov x2, #4
    lsl x2, x2, x3                      // bytes of the smallest line
    sub x3, x2, #1
    bic x0, x0, x3
11: dc \operation, x0
    add x0, x0, x2
    cmp x0, x1
    b.lo 11b
    dsb sy
    ret
.endm
    lines clean_lines, civac
    lines invalidate_lines, ivac

    .bss
    .balign 4096
    .globl boot_stack_guard, boot_stack_top
boot_stack_guard:  .skip 4096           // never mapped (paging.cpp)
                   .skip STACK_BYTES
boot_stack_top:
    .section .note.GNU-stack, "", %progbits
