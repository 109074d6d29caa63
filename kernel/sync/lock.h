// SPDX-License-Identifier: GPL-2.0-or-later
// Short exclusion: InterruptsOff keeps this CPU's interrupt handlers away, Spinlock also keeps
// other CPUs away. Threads need no lock against each other, because they switch only in known
// places (wiki/Threads).
//
// A Spinlock turns off interrupts on the holder's CPU, so a handler on that CPU cannot spin on it
// for ever. Hold it for a few hundred instructions at most, and never yield, sleep or log inside.
#pragma once

#include <atomic>

#include "kernel/arch_contract.h"

namespace locks {

class Spinlock {
 public:
  // Takes the lock. Returns whether interrupts were on, which unlock() needs.
  bool lock() {
    bool on = arch::Cpu::disable_interrupts();
    while (held_.exchange(true, std::memory_order_acquire)) arch::Cpu::relax();
    return on;
  }
  // Takes the lock only if it is free. For panic.
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

// Turns interrupts off on this CPU for a scope. That is enough for data that only CPU 0 uses.
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
