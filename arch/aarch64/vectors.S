// SPDX-License-Identifier: GPL-2.0-or-later
// The sixteen entries for exceptions. Each makes the same frame (TrapFrame) and calls one function.
//
// Threads run on SP_EL0 and the CPU switches to SP_EL1 by itself, so the interrupted stack is never
// written to: a full or broken one still gives a report. An exception in a handler goes to the
// CPU's emergency stack. Frame pointers are chained, so that backtraces walk through.

// These must agree with trap_frame.h and cpu.h.
#define FRAME_BYTES 320                 // a link of the chain, then the TrapFrame
#define EMERGENCY 16                    // CpuLocal::emergency_stack

.macro vector kind
    .balign 128
    sub sp, sp, #FRAME_BYTES
    stp x0, x1, [sp, #16]
    mov x0, #\kind
    mov x1, sp
    stp x0, x1, [sp, #16 + 288]
    b exception
.endm
// Enters from a handler, whose stack may be what is broken. Never returns, so it may overwrite
// TPIDRRO_EL0.
.macro vector_nested kind
    .balign 128
    msr tpidrro_el0, x0
    mrs x0, tpidr_el1
    ldr x0, [x0, #EMERGENCY]
    sub x0, x0, #FRAME_BYTES
    str x1, [x0, #24]
    mov x1, #\kind
    str x1, [x0, #16 + 288]
    mov x1, sp
    str x1, [x0, #16 + 296]
    mov sp, x0
    mrs x0, tpidrro_el0
    str x0, [sp, #16]
    b exception
.endm

    .text
    .balign 2048
    .globl exception_vectors
exception_vectors:
    vector 0                            // from SP_EL0: synchronous, interrupt, fast interrupt, system error
    vector 1
    vector 2
    vector 3
    vector_nested 4
    vector_nested 5
    vector_nested 6
    vector_nested 7
    .rept 8                             // from lower levels, which are not in use
    vector 8
    .endr

.macro pairs operation
    .irp n, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28
    pair \operation, \n, %(\n + 1)
    .endr
.endm
.macro pair operation, a, b
    \operation x\a, x\b, [sp, #16 + 8 * \a]
.endm
    .altmacro
    .type exception, %function
exception:
    pairs stp
    mrs x2, sp_el0
    stp x30, x2, [sp, #16 + 240]
    mrs x2, elr_el1
    mrs x3, spsr_el1
    stp x2, x3, [sp, #16 + 256]
    stp x29, x2, [sp]                   // a link: { caller's frame pointer, return address }
    mov x29, sp
    mrs x2, esr_el1
    mrs x3, far_el1
    stp x2, x3, [sp, #16 + 272]
    add x0, sp, #16
    bl exception_entry
    ldp x2, x3, [sp, #16 + 256]
    msr elr_el1, x2
    msr spsr_el1, x3
    ldr x30, [sp, #16 + 240]            // SP_EL0, the thread's, has not changed
    pairs ldp
    ldp x0, x1, [sp, #16]
    add sp, sp, #FRAME_BYTES
    eret
    .noaltmacro
    .section .note.GNU-stack, "", %progbits
