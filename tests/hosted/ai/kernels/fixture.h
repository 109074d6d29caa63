// SPDX-License-Identifier: GPL-2.0-or-later
// Random weights and activations for tests and benchmarks of the kernel tables.
#pragma once

#include "ai/kernels/table.h"
#include "ai/quant/quant.h"
#include "kernel/base/bytes.h"
#include "kernel/base/containers.h"

namespace kernels_fixture {

using namespace ai;

struct Random {
  u32 state = 1;
  u32 bits() { return state = state * 1664525 + 1013904223; }
  float next() { return static_cast<float>(static_cast<i32>(bits())) * 0x1p-31f; }  // in (-1, 1)
};

enum class Kind : u8 {
  kUsual,    // scales near 1/16
  kExtreme,  // any finite scale, denormals too
  kLowest,   // every byte of weights 0x80: -128, or the lowest nibbles
  kZero,
};

inline void set_scale(Byte* at, Kind kind, Random& random) {
  u32 bits = random.bits() >> 16;
  u16 half = static_cast<u16>(kind == Kind::kExtreme ? (bits & 0xbfff) : (0x2c00 | (bits & 0x3ff)));
  base::store(at, kind == Kind::kZero ? u16{0} : half);
}

// Ordinary rows of random blocks with finite scales.
inline void fill_rows(QuantType type, std::span<Byte> data, Kind kind, Random& random) {
  const QuantInfo& info = quant_info(type);
  for (Byte& b : data) {
    u32 byte = random.bits() >> 24;
    b = static_cast<Byte>(kind == Kind::kZero ? 0 : kind == Kind::kLowest ? 0x80 : byte);
  }
  for (usize at = 0; at < data.size(); at += info.block_bytes) {
    Byte* block = data.data() + at;
    if (type == QuantType::kF32) base::store(block, kind == Kind::kZero ? 0.0f : random.next());
    if (type == QuantType::kBF16)
      base::store(block, static_cast<u16>(std::bit_cast<u32>(random.next()) >> 16));
    if (type == QuantType::kF16) set_scale(block, kind, random);
    for (const GroupField& field : group_fields(type)) {
      if (field.is_half) set_scale(block + field.offset, kind, random);
      if (field.unit == 1)
        block[field.offset] = static_cast<Byte>(kind == Kind::kExtreme ? block[0] : 120);
    }
  }
}

inline Byte* allocate_bytes(usize bytes) {
  return static_cast<Byte*>(base::allocate(bytes, 64));
}

}  // namespace kernels_fixture
