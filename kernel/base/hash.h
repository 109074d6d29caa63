// SPDX-License-Identifier: GPL-2.0-or-later
// FNV-1a with 64 bits, for fingerprints that no attacker profits from forging. Use kernel/crypto
// for secrets, and for hash tables whose keys come from outside. Any context.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/types.h"

namespace base {

class Fnv1a {
 public:
  // Adds one byte. It also takes a word of up to 64 bits, for callers that need speed and not the
  // standard FNV-1a value.
  constexpr void add(u64 value) { value_ = (value_ ^ value) * 0x100000001b3; }
  constexpr void add(std::span<const Byte> bytes) {
    for (Byte b : bytes) add(u64{b});
  }
  constexpr void add(std::string_view text) {
    for (char c : text) add(u64{static_cast<u8>(c)});
  }
  constexpr u64 value() const { return value_; }

 private:
  u64 value_ = 0xcbf29ce484222325;
};

constexpr u64 fnv1a(std::span<const Byte> bytes) {
  Fnv1a hash;
  hash.add(bytes);
  return hash.value();
}
constexpr u64 fnv1a(std::string_view text) {
  Fnv1a hash;
  hash.add(text);
  return hash.value();
}

// Returns the slot hash of a name in a small table: FNV-1a, multiplied so that its best bits reach
// the low end. Tables of names from outside must bound their probes, too.
constexpr u32 slot_hash(std::string_view name) {
  return static_cast<u32>(fnv1a(name) * 0x9e3779b97f4a7c15 >> 32);
}

}  // namespace base
