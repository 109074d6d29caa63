// SPDX-License-Identifier: GPL-2.0-or-later
// The formats of keys and values in the cache.
#pragma once

#include <string_view>

#include "kernel/base/result.h"
#include "kernel/base/types.h"

namespace ai {

// Keys and values are rotated before they are quantized (ai/attention/rotate.h). A block of 32 has
// a scale of 16 bits.
enum class KvType : u8 {
  kF16,
  kQ8,    // keys and values with 8.5 bits
  kQ8Q4,  // keys with 8.5 bits, values with 4.5
  kQ4,    // keys and values with 4.5 bits
  kCount,
};

struct KvTypeInfo {
  std::string_view name;     // of the option kv= and of saved texts; at most 8 bytes
  u32 key_bits, value_bits;  // 16, 8 or 4, without the scale
  // why a text that was saved from this type is refused where the cache has another one
  const char* refusal;
};

const KvTypeInfo& kv_type_info(KvType type);
// Returns the type of that name, or kNotFound.
Result<KvType> kv_type_by_name(std::string_view name);

}  // namespace ai
