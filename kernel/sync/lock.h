// SPDX-License-Identifier: GPL-2.0-or-later
// What keeps others out of data for a few instructions: interrupts off on this CPU, and a spin lock
// between CPUs. Threads need neither between each other: they give way only where they say so
// (wiki/Threads).
//
// The spin lock disables interrupts of the holder, so a handler on the same CPU cannot spin on it.
// Hold it for a few hundred instructions at most; never yield, sleep or log inside.
#pragma once

#include <atomic>

#include "kernel/arch_contract.h"

namespace locks {

class Spinlock {
 public:
  // Returns what unlock() needs: whether interrupts were on.
  bool lock() {
    bool on = arch::Cpu::disable_interrupts();
    while (held_.exchange(true, std::memory_order_acquire)) arch::Cpu::relax();
    return on;
  }
  // For panic: takes the lock only if it is free.
  bool try_lock(bool& on) {
    on = arch::Cpu::disable_interrupts();
    if (!held_.exchange(true, std::memory_order_acquire)) return true;
    arch::Cpu::restore_interrupts(on);
    return false;
  }
  void unlock(bool on) {
    held_.store(false, std::memory_order_release);
    arch::Cpu::restore_interrupts(on);
  }

 private:
  std::atomic<bool> held_{false};
};

// Keeps interrupts of this CPU off for a scope: enough for what only CPU 0 touches.
class InterruptsOff {
 public:
  InterruptsOff() : on_(arch::Cpu::disable_interrupts()) {}
  ~InterruptsOff() { arch::Cpu::restore_interrupts(on_); }
  InterruptsOff(const InterruptsOff&) = delete;
  InterruptsOff& operator=(const InterruptsOff&) = delete;

 private:
  bool on_;
};

}  // namespace locks
