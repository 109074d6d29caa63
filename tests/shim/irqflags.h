/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In place of Linux's asm/irqflags.h: a process may not run cli and sti. One thread runs at a time
 * (tests/shim/host.cpp), and gives way only where it waits, so nothing else is needed. */
#pragma once
#define _X86_IRQFLAGS_H_
#define __ASM_IRQFLAGS_H_
static inline unsigned long native_save_fl(void) {
  return 0x200;
}
static inline void native_irq_disable(void) {}
static inline void native_irq_enable(void) {}
static inline void native_safe_halt(void) {}
static inline void native_halt(void) {}
static inline unsigned long arch_local_save_flags(void) {
  return 0x200;
}
static inline void arch_local_irq_restore(unsigned long flags) {
  (void)flags;
}
static inline void arch_local_irq_disable(void) {}
static inline void arch_local_irq_enable(void) {}
static inline unsigned long arch_local_irq_save(void) {
  return 0x200;
}
static inline void arch_safe_halt(void) {}
static inline void halt(void) {}
static inline int arch_irqs_disabled_flags(unsigned long flags) {
  return !(flags & 0x200);
}
static inline int arch_irqs_disabled(void) {
  return 0;
}
