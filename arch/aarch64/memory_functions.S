// SPDX-License-Identifier: GPL-2.0-or-later
// memcpy, memmove and memset. They move 64 bytes a step by pairs of general registers, because
// interrupt handlers call them and must not use vector registers. They work on ordinary memory with
// the MMU on.

    .text
    .globl memcpy, memmove, memset
    .type memcpy, %function
    .type memmove, %function
    .type memset, %function

memmove:                                // x0 = to, x1 = from, x2 = bytes
    sub x3, x0, x1
    cmp x3, x2
    b.lo backwards                      // `to` lies inside [from, from + bytes)
memcpy:
    mov x3, x0
    subs x2, x2, #64
    b.lo 2f
1:  ldp x4, x5, [x1]
    ldp x6, x7, [x1, #16]
    ldp x8, x9, [x1, #32]
    ldp x10, x11, [x1, #48]
    add x1, x1, #64
    stp x4, x5, [x3]
    stp x6, x7, [x3, #16]
    stp x8, x9, [x3, #32]
    stp x10, x11, [x3, #48]
    add x3, x3, #64
    subs x2, x2, #64
    b.hs 1b
2:  adds x2, x2, #64
    b.eq 5f
3:  subs x2, x2, #8
    b.lo 4f
    ldr x4, [x1], #8
    str x4, [x3], #8
    b 3b
4:  adds x2, x2, #8
    b.eq 5f
6:  ldrb w4, [x1], #1
    strb w4, [x3], #1
    subs x2, x2, #1
    b.ne 6b
5:  ret

backwards:
    add x3, x0, x2
    add x1, x1, x2
1:  subs x2, x2, #16
    b.lo 2f
    ldp x4, x5, [x1, #-16]!
    stp x4, x5, [x3, #-16]!
    b 1b
2:  adds x2, x2, #16
    b.eq 5f
3:  ldrb w4, [x1, #-1]!
    strb w4, [x3, #-1]!
    subs x2, x2, #1
    b.ne 3b
5:  ret

memset:                                 // x0 = to, w1 = byte, x2 = bytes
    mov x3, x0
    and x1, x1, #255
    mov x4, #0x0101010101010101
    mul x1, x1, x4
    subs x2, x2, #64
    b.lo 2f
1:  stp x1, x1, [x3]
    stp x1, x1, [x3, #16]
    stp x1, x1, [x3, #32]
    stp x1, x1, [x3, #48]
    add x3, x3, #64
    subs x2, x2, #64
    b.hs 1b
2:  adds x2, x2, #64
    b.eq 5f
3:  subs x2, x2, #8
    b.lo 4f
    str x1, [x3], #8
    b 3b
4:  adds x2, x2, #8
    b.eq 5f
6:  strb w1, [x3], #1
    subs x2, x2, #1
    b.ne 6b
5:  ret
    .section .note.GNU-stack, "", %progbits
