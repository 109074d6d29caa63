// SPDX-License-Identifier: GPL-2.0-or-later
// Slots for the states of recurrent sequences. There is one slot per running request, all allocated
// when the model is loaded. The scheduler owns them.
#pragma once

#include "ai/platform.h"
#include "kernel/base/containers.h"

namespace ai {

class StateSlots;

// Owns the slot of one sequence and gives it back when it is destroyed.
class StateSlot {
 public:
  StateSlot() = default;  // holds no slot
  StateSlot(StateSlot&& other) noexcept
      : slots_(std::exchange(other.slots_, nullptr)), index_(other.index_) {}
  StateSlot& operator=(StateSlot&& other) noexcept;
  ~StateSlot() { give_back(); }
  // Returns the state's bytes, or an empty span without a slot. The bytes of an earlier sequence
  // are still there: the model initializes its state at position 0.
  std::span<Byte> bytes() const;

 private:
  friend class StateSlots;
  StateSlot(StateSlots& slots, u32 index) : slots_(&slots), index_(index) {}
  void give_back();

  StateSlots* slots_ = nullptr;  // must outlive the slot and must not move
  u32 index_ = 0;
};

class StateSlots {
 public:
  // Allocates `count` slots of `bytes` each in one run of the platform's pages. With `bytes` 0
  // there are none.
  static Result<StateSlots> create(Platform& platform, u32 count, usize bytes);
  StateSlots() = default;
  StateSlots(StateSlots&& other) noexcept;
  StateSlots& operator=(StateSlots&& other) noexcept;
  ~StateSlots();

  // Takes the lowest free slot. Returns kFull when every slot is taken.
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
