; SPDX-License-Identifier: GPL-2.0-or-later
; The 256 entries of the interrupt table. Each pushes the same frame (TrapFrame) and calls one function.
;
; Every vector runs on a stack of its own from the task-state segment (descriptors.cpp), so the
; interrupted stack is never written to: a full or broken one still gives a report, and code with a
; red zone may run in ring 0. Frame pointers are chained, so that backtraces walk through.

bits 64
extern trap_entry
global interrupt_doors

section .text
%macro door 1
    align 16
door_%1:
  ; Intel SDM vol. 3, 6.15: these push an error code; the others get a zero in its place.
  %if %1 == 8 || (%1 >= 10 && %1 <= 14) || %1 == 17 || %1 == 21 || %1 == 29 || %1 == 30
  %else
    push 0
  %endif
    push strict dword %1
    jmp corridor
%endmacro

%assign vector 0
%rep 256
    door vector
  %assign vector vector + 1
%endrep

corridor:
    push rax
    push rbx
    push rcx
    push rdx
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    push rbp
    ; A link for the frame-pointer chain: { caller's rbp, return address } = { rbp, rip }.
    push qword [rsp + 17 * 8]           ; rip
    push rbp
    mov rbp, rsp
    cld
    lea rdi, [rsp + 16]                 ; the TrapFrame
    call trap_entry
    add rsp, 16
    pop rbp
    pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    pop rbx
    pop rax
    add rsp, 16                         ; vector, error code
    iretq

section .rodata
align 8
interrupt_doors:
%assign vector 0
%rep 256
    dq door_%+vector
  %assign vector vector + 1
%endrep
section .note.GNU-stack noalloc noexec nowrite progbits
