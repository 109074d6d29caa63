; SPDX-License-Identifier: GPL-2.0-or-later
; Starts every further CPU: real mode below 1 MiB, then boot.asm's way to long mode.
;
; A start-up message names a 4 KiB page; the CPU begins there in real mode (Intel SDM vol. 3, 9.4).
; smp.cpp copies the first part into such a page. All CPUs may come through here at once: nothing
; is written and no stack is used until each has found its own slot by its APIC number.

section .rodata
bits 16
global smp_trampoline_begin, smp_trampoline_end
smp_trampoline_begin:
    cli
    cld
    mov ax, cs
    mov ds, ax
    o32 lgdt [gdt_pointer - smp_trampoline_begin]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp dword 0x18:smp_entry32
align 4
gdt_pointer:
    dw 4 * 8 - 1
    dd early_gdt
smp_trampoline_end:

section .text
bits 32
extern early_gdt, early_root, enable_long_mode
smp_entry32:
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov eax, early_root
    mov cr3, eax
    mov ebp, .far
    jmp enable_long_mode
.far:
    jmp 0x08:smp_entry64

bits 64
extern smp_root, smp_slots, smp_main
SLOT_BYTES equ 16                       ; struct Slot in smp.cpp: u32 APIC number, u32 index, u64 stack
smp_entry64:
    mov rax, [smp_root]                 ; the final tables: stacks may lie above 4 GiB
    mov cr3, rax
    ; Our APIC number: 32 bits from leaf 0Bh where there is one, else 8 bits from leaf 1.
    xor eax, eax
    cpuid
    cmp eax, 0x0b
    jb .old
    mov eax, 0x0b
    xor ecx, ecx
    cpuid
    test ebx, ebx
    jnz .search
.old:
    mov eax, 1
    cpuid
    shr ebx, 24
    mov edx, ebx
.search:
    mov rsi, smp_slots
.next:
    mov rsp, [rsi + 8]
    test rsp, rsp                       ; the slot behind the last has no stack
    jz .unknown
    cmp [rsi], edx
    je .found
    add rsi, SLOT_BYTES
    jmp .next
.found:
    mov edi, [rsi + 4]
    xor ebp, ebp
    call smp_main                       ; smp_main(u32 index)
.unknown:                               ; a CPU that nobody called
    cli
    hlt
    jmp .unknown
section .note.GNU-stack noalloc noexec nowrite progbits
