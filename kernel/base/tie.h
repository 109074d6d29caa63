// SPDX-License-Identifier: GPL-2.0-or-later
// Two objects that know each other while both live. Whichever goes first clears the other's end, so
// neither can hold a pointer to what is gone.
#pragma once

#include <utility>

namespace base {

// One end, a member of a Self; the other end is a Tie<Other, Self> in an Other. Thread context, and
// both objects stay where they are: an end can be neither copied nor moved.
template <class Self, class Other>
class Tie {
 public:
  explicit Tie(Self& self) : self_(self) {}
  ~Tie() { part(); }
  Tie(const Tie&) = delete;
  Tie& operator=(const Tie&) = delete;

  // Ends what either end was tied to before.
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
  // Null when there is none, or it is gone.
  Other* get() const { return other_ == nullptr ? nullptr : &other_->self_; }

 private:
  friend class Tie<Other, Self>;
  Self& self_;
  Tie<Other, Self>* other_ = nullptr;
};

}  // namespace base
