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
  // Adds one byte. Also takes a word of up to 64 bits where speed matters more than the standard's
  // value.
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

// Returns the slot's hash of a name in a small table: FNV-1a, of which a product brings the best
// bits down. Tables of foreign names also bound their probes.
constexpr u32 slot_hash(std::string_view name) {
  return static_cast<u32>(fnv1a(name) * 0x9e3779b97f4a7c15 >> 32);
}

}  // namespace base
