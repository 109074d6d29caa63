// SPDX-License-Identifier: GPL-2.0-or-later
// Ties two objects that know each other while both live. The one that is destroyed first clears the
// other's end, so neither can keep a pointer to a destroyed object.
#pragma once

#include <utility>

namespace base {

// One end of the tie, a member of Self. The other end is a Tie<Other, Self> in Other. For threads
// only. An end cannot be copied or moved, so both objects stay where they are.
template <class Self, class Other>
class Tie {
 public:
  explicit Tie(Self& self) : self_(self) {}
  ~Tie() { part(); }
  Tie(const Tie&) = delete;
  Tie& operator=(const Tie&) = delete;

  // Unties both ends from what they were tied to before.
  void join(Tie<Other, Self>& other) {
    part();
    other.part();
    other_ = &other;
    other.other_ = this;
  }
  void part() {
    if (Tie<Other, Self>* other = std::exchange(other_, nullptr); other != nullptr)
      other->other_ = nullptr;
  }
  // Returns the other object, or null if there is none or it was destroyed.
  Other* get() const { return other_ == nullptr ? nullptr : &other_->self_; }

 private:
  friend class Tie<Other, Self>;
  Self& self_;
  Tie<Other, Self>* other_ = nullptr;
};

}  // namespace base
