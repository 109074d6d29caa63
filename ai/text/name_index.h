// SPDX-License-Identifier: GPL-2.0-or-later
// Numbers names in the order in which they came, for texts with thousands of names.
//
// It is a hash table that is at most a quarter full. No look-up takes more than kMaxProbes steps:
// if a client has chosen names that collide, that is an error instead of a slow search.
#pragma once

#include <string_view>

#include "kernel/base/containers.h"
#include "kernel/base/hash.h"

namespace ai {

class NameIndex {
 public:
  static constexpr u32 kNone = ~u32{0};

  // Returns the number of `name`, which is size() before the call if the name is new. Its bytes
  // must outlive the index.
  Result<u32> add(std::string_view name) {
    if (usize{size()} * kRoom >= slots_.size()) TRY(grow());
    u32 hash = base::slot_hash(name);
    Slot* slot = place(hash, name);
    if (slot == nullptr) return fail(Errc::kInvalidArgument, kCollide);
    if (slot->entry != 0) return slot->entry - 1;
    TRY(names_.push_back(name));
    *slot = {hash, size()};
    return size() - 1;
  }
  u32 find(std::string_view name) const {
    if (slots_.empty()) return kNone;
    const Slot* slot = const_cast<NameIndex*>(this)->place(base::slot_hash(name), name);
    return slot == nullptr || slot->entry == 0 ? kNone : slot->entry - 1;
  }
  u32 size() const { return static_cast<u32>(names_.size()); }
  std::string_view operator[](u32 number) const { return names_[number]; }

 private:
  struct Slot {
    u32 hash, entry;  // entry is the number + 1; 0 = free
  };
  static constexpr usize kRoom = 4, kFirstSlots = 64;
  static constexpr usize kMaxProbes = 48;  // honest names never need that many
  static constexpr const char* kCollide = "too many names have the same hash: choose other names";

  // Returns the slot where `name` is or may be put, or null after kMaxProbes.
  Slot* place(u32 hash, std::string_view name) {
    usize mask = slots_.size() - 1, at = hash & mask;
    for (usize probe = 0; probe < kMaxProbes; at = (at + 1) & mask, probe++) {
      Slot& slot = slots_[at];
      bool same = slot.hash == hash && slot.entry != 0 && names_[slot.entry - 1] == name;
      if (slot.entry == 0 || same) return &slot;
    }
    return nullptr;
  }
  Result<void> grow() {
    Vector<Slot> old = std::move(slots_);
    TRY(slots_.resize(old.empty() ? kFirstSlots : old.size() * kRoom));
    for (const Slot& slot : old) {
      if (slot.entry == 0) continue;
      Slot* to = place(slot.hash, names_[slot.entry - 1]);
      if (to == nullptr) return fail(Errc::kInvalidArgument, kCollide);
      *to = slot;
    }
    return {};
  }

  Vector<std::string_view> names_;
  Vector<Slot> slots_;
};

}  // namespace ai
