; SPDX-License-Identifier: GPL-2.0-or-later
; Switches between cooperative threads: saves the registers that a call preserves according to the
; ABI, and exchanges the stack pointer.
;
; Vector registers are the caller's to save (System V ABI 3.2.1); MXCSR and the x87 control word are
; the same everywhere in Marrow.

bits 64
section .text
global context_switch, context_start

context_switch:                         ; (u64* from /rdi, u64 to /rsi)
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov [rdi], rsp
    mov rsp, rsi
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

context_start:                          ; a new thread's first instruction: entry in r12, argument in r13
    xor ebp, ebp                        ; the end of its backtraces
    mov rdi, r13
    call r12
    ud2                                 ; an entry does not return: the scheduler ends threads
section .note.GNU-stack noalloc noexec nowrite progbits
