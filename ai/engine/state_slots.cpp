// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the slots for the states of recurrent sequences.
#include "ai/engine/state_slots.h"

namespace ai {

StateSlot& StateSlot::operator=(StateSlot&& other) noexcept {
  if (this == &other) return *this;
  give_back();
  slots_ = std::exchange(other.slots_, nullptr);
  index_ = other.index_;
  return *this;
}

std::span<Byte> StateSlot::bytes() const {
  if (slots_ == nullptr) return {};
  return slots_->memory_.subspan(index_ * slots_->bytes_, slots_->bytes_);
}

void StateSlot::give_back() {
  if (slots_ != nullptr) std::exchange(slots_, nullptr)->taken_[index_] = false;
}

Result<StateSlots> StateSlots::create(Platform& platform, u32 count, usize bytes) {
  StateSlots slots;
  if (bytes == 0) return slots;
  TRY(slots.taken_.resize(count));
  slots.memory_ = TRY(platform.allocate_pages(count * bytes, "recurrent states"));
  slots.platform_ = &platform;
  slots.bytes_ = bytes;
  return slots;
}

StateSlots::StateSlots(StateSlots&& other) noexcept
    : platform_(other.platform_),
      bytes_(other.bytes_),
      memory_(std::exchange(other.memory_, {})),
      taken_(std::move(other.taken_)) {}

StateSlots& StateSlots::operator=(StateSlots&& other) noexcept {
  if (this == &other) return *this;
  free_memory();
  platform_ = other.platform_;
  bytes_ = other.bytes_;
  memory_ = std::exchange(other.memory_, {});
  taken_ = std::move(other.taken_);
  return *this;
}

StateSlots::~StateSlots() {
  free_memory();
}

void StateSlots::free_memory() {
  ASSERT(used() == 0);
  if (!memory_.empty()) platform_->free_pages(std::exchange(memory_, {}));
}

Result<StateSlot> StateSlots::take() {
  for (u32 i = 0; i < taken_.size(); i++) {
    if (taken_[i]) continue;
    taken_[i] = true;
    return StateSlot(*this, i);
  }
  return fail(Errc::kFull, "every slot for a recurrent state is taken: wait until a request ends");
}

u32 StateSlots::used() const {
  return static_cast<u32>(std::ranges::count(taken_, true));
}

}  // namespace ai
