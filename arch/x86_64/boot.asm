; SPDX-License-Identifier: GPL-2.0-or-later
; From the first instruction to the first line of C++: a loader's 32-bit hand-over becomes long mode.
;
; Two loaders share one path. GRUB enters at multiboot2_entry (Multiboot2 specification 3.3), QEMU's
; `-kernel` at pvh_entry (Xen "x86/HVM direct boot ABI"). Both leave us in 32-bit protected mode,
; paging off, flat segments, interrupts off. The steps, in order:
;   1. note the cycle counter: this is time zero of the boot chart
;   2. refuse a CPU without long mode or no-execute pages, with a message on serial line and screen
;   3. identity-map the first 4 GiB with 2 MiB pages (paging.cpp builds the real tables later)
;   4. long mode, 64-bit code segment, SSE on (the engine's objects may use it from the start)
;   5. x86_entry(protocol, information, ticks) in entry.cpp, which never returns

bits 32

MULTIBOOT2_MAGIC   equ 0xe85250d6
MULTIBOOT2_I386    equ 0
MULTIBOOT2_LOADER  equ 0x36d76289       ; what the loader puts into eax
STACK_BYTES        equ 256 * 1024
COM1               equ 0x3f8
VGA_TEXT           equ 0xb8000          ; 80 columns, a character and its colours a cell
VGA_LINE           equ 160

; ---- headers that loaders search for -------------------------------------------------------
section .multiboot2 progbits alloc noexec nowrite align=8
header:
    dd MULTIBOOT2_MAGIC
    dd MULTIBOOT2_I386
    dd header_end - header
    dd 0x100000000 - (MULTIBOOT2_MAGIC + MULTIBOOT2_I386 + (header_end - header))
    ; 3.1.10: a linear framebuffer if there is one; 0 = the loader's choice of size. Optional, so
    ; that a machine without a display boots.
    align 8
    dw 5, 1
    dd 20, 0, 0, 32
    ; 3.1.12: modules begin on a page, so that weights can be used where they lie.
    align 8
    dw 6, 0
    dd 8
    align 8
    dw 0, 0
    dd 8
header_end:

section .note.pvh progbits alloc noexec nowrite align=4
    dd 4, 8, 18                         ; name bytes, descriptor bytes, XEN_ELFNOTE_PHYS32_ENTRY
    db "Xen", 0
    dq pvh_entry

; ---- 1. the two entries --------------------------------------------------------------------
section .text.boot progbits alloc exec nowrite align=16
global multiboot2_entry
multiboot2_entry:                       ; eax = the loader's magic, ebx = boot information
    mov edi, eax
    jmp entry
pvh_entry:                              ; ebx = hvm_start_info, whose first word is its magic
    mov edi, [ebx]
entry:
    cld
    mov esp, boot_stack_top
    rdtsc
    mov [entry_ticks], eax
    mov [entry_ticks + 4], edx
    mov esi, ebx

; ---- 2. is this CPU enough? ----------------------------------------------------------------
    mov eax, 0x80000000
    cpuid
    mov ebp, no_long_mode_text
    cmp eax, 0x80000001
    jb refuse
    mov eax, 0x80000001
    cpuid
    test edx, 1 << 29                   ; long mode (Intel SDM vol. 2, CPUID)
    jz refuse
    mov ebp, no_execute_text
    test edx, 1 << 20                   ; no-execute
    jz refuse

; ---- 3. early page tables: 4 GiB, identity, 2 MiB pages ------------------------------------
    mov ecx, 4 * 512
    mov edx, early_directories
    mov eax, 0x83                       ; present, writable, large
    xor ebx, ebx
.fill:
    mov [edx], eax
    mov [edx + 4], ebx
    add edx, 8
    add eax, 2 << 20                    ; wraps to 0x83 only after the last entry
    loop .fill
    mov eax, early_directories + 3
    mov edx, early_pointers
    mov ecx, 4
.link:
    mov [edx], eax
    add edx, 8
    add eax, 4096
    loop .link
    mov dword [early_root], early_pointers + 3

; ---- 4. long mode --------------------------------------------------------------------------
    mov eax, early_root
    mov cr3, eax
    lgdt [early_gdt_pointer]
    mov ebp, .far
    jmp enable_long_mode
.far:
    jmp 0x08:entry64

; Every further CPU also comes this way (smp_trampoline.asm). They have no stack yet, so this returns
; to ebp. Needs CR3; clobbers eax, ecx, edx.
global enable_long_mode
enable_long_mode:
    mov eax, 1 << 5 | 1 << 9 | 1 << 10  ; CR4: PAE, OSFXSR, OSXMMEXCPT
    mov cr4, eax
    mov ecx, 0xc0000080                 ; EFER
    rdmsr
    or eax, 1 << 8 | 1 << 11            ; LME, NXE
    wrmsr
    mov eax, 1 << 31 | 1 << 16 | 1 << 5 | 1 << 4 | 1 << 1 | 1  ; PG WP NE ET MP PE; EM, TS, CD clear
    mov cr0, eax
    jmp ebp

; ---- the refusal: writes the text at ebp to COM1 and the screen, then stops ------------------
; esi and edi are still the loader's.
refuse:
    call find_screen
.next:
    movzx eax, byte [ebp]
    test al, al
    jz .stop
    mov dx, COM1
    out dx, al
    mov ecx, 100000                     ; no divisor, no status: wait out the slowest byte
    loop $
    call draw
    inc ebp
    jmp .next
.stop:
    hlt
    jmp .stop

; Finds where to draw: the third line of a framebuffer of 32-bit pixels below 4 GiB if multiboot2
; names one (3.6.12), otherwise of VGA text, which is harmless where there is none.
find_screen:
    mov dword [screen_at], VGA_TEXT + 2 * VGA_LINE
    cmp edi, MULTIBOOT2_LOADER
    jne .done
    lea edx, [esi + 8]
.tag:
    mov eax, [edx]
    test eax, eax                       ; the end tag
    jz .done
    cmp eax, 8
    je .found
    mov eax, [edx + 4]
    add eax, 7
    and eax, ~7
    add edx, eax
    jmp .tag
.found:
    cmp dword [edx + 12], 0             ; the address's upper half
    jne .done
    cmp word [edx + 28], 1 << 8 | 32    ; direct colours, 32 bits
    jne .done
    mov eax, [edx + 16]
    mov [screen_pitch], eax
    shl eax, 5
    add eax, [edx + 8]
    mov [screen_at], eax
.done:
    ret

; Draws the character al at screen_at and moves on. Clobbers all but ebp.
draw:
    sub al, ' '
    jb .done                            ; line ends are for the serial line
    cmp dword [screen_pitch], 0
    jne .pixels
    add al, ' '
    mov ah, 0x0f                        ; white on black
    mov edx, [screen_at]
    mov [edx], ax
    add dword [screen_at], 2
    ret
.pixels:
    movzx eax, al
    shl eax, 4                          ; 16 rows of 8 pixels
    lea esi, [early_font + eax]
    mov edi, [screen_at]
    mov ch, 16
.row:
    mov ah, [esi]
    mov edx, edi
    mov cl, 8
.pixel:
    shl ah, 1
    sbb ebx, ebx                        ; all ones where the pixel is lit
    mov [edx], ebx
    add edx, 4
    dec cl
    jnz .pixel
    inc esi
    add edi, [screen_pitch]
    dec ch
    jnz .row
    add dword [screen_at], 8 * 4
.done:
    ret

bits 64
; ---- 5. C++ --------------------------------------------------------------------------------
extern x86_entry, early_font            ; drivers/display/early_screen.cpp: from ' ' on
entry64:
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    xor eax, eax
    mov fs, ax
    mov gs, ax
    mov rsp, boot_stack_top
    xor ebp, ebp                        ; the end of every backtrace
    mov edi, edi                        ; the upper halves are undefined after the switch
    mov esi, esi
    mov rdx, [entry_ticks]
    call x86_entry                      ; x86_entry(u32 protocol, u64 information, u64 ticks)
    ud2

section .rodata
global early_gdt_pointer, early_gdt
align 8
early_gdt:
    dq 0
    dq 0x00af9b000000ffff               ; 0x08: 64-bit code
    dq 0x00cf93000000ffff               ; 0x10: data
    dq 0x00cf9b000000ffff               ; 0x18: 32-bit code, for the trampoline
early_gdt_end:
early_gdt_pointer:
    dw early_gdt_end - early_gdt - 1
    dq early_gdt                        ; in 32-bit mode the upper half is not read
; At most 79 columns.
no_long_mode_text:
    db 13, 10, "Marrow needs a 64-bit CPU; this one is not (or its virtual machine hides it).", 13, 10, 0
no_execute_text:
    db 13, 10, "Execute-disable (NX, XD) is off: turn it on in the firmware's CPU settings.", 13, 10, 0

section .bss align=4096
global early_root, boot_stack_guard, boot_stack_bottom, boot_stack_top
early_root:        resb 4096
early_pointers:    resb 4096
early_directories: resb 4 * 4096
boot_stack_guard:  resb 4096            ; unmapped by paging.cpp
boot_stack_bottom: resb STACK_BYTES
boot_stack_top:
entry_ticks:       resq 1
screen_at:         resd 1
screen_pitch:      resd 1               ; bytes a line of pixels; 0 = VGA text
section .note.GNU-stack noalloc noexec nowrite progbits
