; SPDX-License-Identifier: GPL-2.0-or-later
; A 64 KiB firmware image that counts to 2^27 and powers QEMU off through isa-debug-exit.
; On a KVM that works this takes well under 0.1 s; on one that emulates every instruction, minutes.
bits 16
org 0
start:
  mov ecx, 1 << 27
count:
  dec ecx
  jnz count
  mov dx, 0xf4
  mov al, 0x10                 ; QEMU exits with status (0x10 << 1) | 1 = 33
  out dx, al
  hlt
  times 0xfff0 - ($ - $$) db 0
reset:                         ; the CPU starts here, at f000:fff0
  jmp 0xf000:start
  times 0x10000 - ($ - $$) db 0
