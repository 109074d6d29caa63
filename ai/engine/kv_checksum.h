// SPDX-License-Identifier: GPL-2.0-or-later
// The checksum of KV pages on a disk: FNV-1a over words of 8 bytes, and byte by byte over the rest
// of a piece. It finds damage, not forgery. Any context.
#pragma once

#include <span>

#include "kernel/base/bytes.h"

namespace ai {

class KvChecksum {
 public:
  void add(std::span<const Byte> bytes) {
    usize i = 0;
    for (; i + sizeof(u64) <= bytes.size(); i += sizeof(u64))
      mix(base::load<u64>(bytes.data() + i));
    for (; i < bytes.size(); i++) mix(bytes[i]);
  }
  u64 value() const { return value_; }

 private:
  void mix(u64 v) {
    value_ = (value_ ^ v) * 0x100000001b3;
    // a multiplication alone never carries a word's high bits into the low ones
    value_ ^= value_ >> 32;
  }
  u64 value_ = 0xcbf29ce484222325;
};

inline u64 kv_checksum(std::span<const Byte> bytes) {
  KvChecksum sum;
  sum.add(bytes);
  return sum.value();
}

}  // namespace ai
