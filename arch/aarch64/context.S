// SPDX-License-Identifier: GPL-2.0-or-later
// Switches between cooperative threads. It saves the registers that a call preserves (AAPCS64, 6.1)
// and the stack pointer. FPCR has the same value everywhere in Marrow.

    .text
    .globl context_switch, context_start
    .type context_switch, %function
    .type context_start, %function
context_switch:                         // (u64* from /x0, u64 to /x1)
    sub sp, sp, #160
    stp x19, x20, [sp]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x2, sp
    str x2, [x0]
    mov sp, x1
    ldp x19, x20, [sp]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret

context_start:                          // a new thread's first instruction: entry in x19, argument in x20
    mov x29, #0                         // the end of its backtraces
    mov x30, #0
    mov x0, x20
    blr x19
    udf #0                              // an entry does not return: the scheduler ends threads
    .section .note.GNU-stack, "", %progbits
