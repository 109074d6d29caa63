// SPDX-License-Identifier: GPL-2.0-or-later
// Places for the states of recurrent sequences: one a running request, all allocated at the start.
#pragma once

#include "ai/platform.h"
#include "kernel/base/containers.h"

namespace ai {

class StateSlots;

// A place for one sequence's state. Whatever ends the sequence, it goes back with this.
class StateSlot {
 public:
  StateSlot() = default;  // none
  StateSlot(StateSlot&& other) noexcept
      : slots_(std::exchange(other.slots_, nullptr)), index_(other.index_) {}
  StateSlot& operator=(StateSlot&& other) noexcept;
  ~StateSlot() { give_back(); }
  // Empty where there is none. What an earlier sequence left is still in it: a model begins its
  // state anew at position 0.
  std::span<Byte> bytes() const;

 private:
  friend class StateSlots;
  StateSlot(StateSlots& slots, u32 index) : slots_(&slots), index_(index) {}
  void give_back();

  StateSlots* slots_ = nullptr;  // outlives the slot and stays where it is
  u32 index_ = 0;
};

class StateSlots {
 public:
  // `count` slots of `bytes` each in one run of the platform's pages; of 0 bytes: none at all.
  static Result<StateSlots> create(Platform& platform, u32 count, usize bytes);
  StateSlots() = default;
  StateSlots(StateSlots&& other) noexcept;
  StateSlots& operator=(StateSlots&& other) noexcept;
  ~StateSlots();

  // The lowest free slot; kFull when every one is taken.
  Result<StateSlot> take();
  u32 used() const;

 private:
  friend class StateSlot;
  void free_memory();

  Platform* platform_ = nullptr;
  usize bytes_ = 0;         // of a slot
  std::span<Byte> memory_;  // (slots, bytes)
  Vector<bool> taken_;
};

}  // namespace ai
