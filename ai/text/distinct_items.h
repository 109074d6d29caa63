// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps the items of an array apart (`uniqueItems`), which no automaton can: follows a JSON text
// byte by byte and remembers a hash of each item.
//
// The names of the members of such an item are kept apart, too. Equal values have equal hashes,
// however they are written: escapes, 1.0 and 1, the order of members. Different values with one
// hash are so rare (2^-64) that one more value is forbidden at worst. A Cursor is a place in the
// text; it is copied to try a token. For threads; create() allocates all.
#pragma once

#include <string_view>

#include "kernel/base/containers.h"

namespace ai {

class DistinctItems {
 public:
  static constexpr u32 kMaxDepth = 128;
  static constexpr u32 kMaxItems = 4096;  // over all open arrays; an array that has more must end

  class Cursor {
   public:
    // Follows one byte of a text that the grammar allows. `distinct`: if it opens an array, its
    // items must differ. Returns false if the byte ends an item that its array has already.
    bool step(u8 byte, bool distinct, const DistinctItems& seen);
    // Would the item be a repeated one if it ended here?
    bool repeats(const DistinctItems& seen) const;
    bool in_string() const { return state_ == State::kString; }
    bool watching() const { return watched_ > 0; }

   private:
    friend class DistinctItems;
    enum class State : u8 { kBetween, kString, kEscape, kHex, kScalar };
    struct Frame {
      u64 hash = 0, key = 0;
      u32 first = 0;  // of its items among all
      bool object = false, distinct = false, wants_key = false;
    };

    bool open(bool object, bool distinct);
    bool close(const DistinctItems& seen);
    bool begin_scalar(u8 byte, const DistinctItems& seen);
    bool end_string(const DistinctItems& seen);
    bool end_scalar(const DistinctItems& seen);
    bool end_value(u64 hash, const DistinctItems& seen);
    bool remember(u64 hash, const DistinctItems& seen);
    bool known(u64 hash, const DistinctItems& seen) const;
    u64 scalar_hash() const;
    void string_char(u32 c);
    bool escaped(u8 byte);

    State state_ = State::kBetween;
    u32 depth_ = 0, watched_ = 0;  // open brackets, and those of arrays that are kept apart
    u64 string_ = 0;               // hash of the string so far
    u32 unit_ = 0, digits_ = 0, high_ = 0;  // of a \u escape; the first half of a pair
    u32 kept_ = 0;                          // items of `seen` that still count
    StaticVector<u64, 16> fresh_;           // items that ended since then
    StaticVector<char, 48> scalar_;
    Frame frames_[kMaxDepth];
  };

  static Result<base::Owner<DistinctItems>> create();
  Result<base::Owner<DistinctItems>> clone() const;
  void reset();
  const Cursor& cursor() const { return cursor_; }
  // Makes `to` the place from which further texts are tried.
  void move_to(const Cursor& to);

 private:
  Cursor cursor_;
  Vector<u64> items_;
};

}  // namespace ai
