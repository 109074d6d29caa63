// SPDX-License-Identifier: GPL-2.0-or-later
// Builds the header of a GGUF version 3 file, for the packer, for checkpoints of other formats and
// for tests.
#pragma once

#include "ai/gguf/reader.h"

namespace ai {

class GgufWriter {
 public:
  Result<void> add_u32(std::string_view key, u32 value);
  Result<void> add_f32(std::string_view key, float value);
  Result<void> add_bool(std::string_view key, bool value);
  Result<void> add_string(std::string_view key, std::string_view value);
  Result<void> add_strings(std::string_view key, std::span<const std::string_view> values);
  Result<void> add_f32s(std::string_view key, std::span<const float> values);
  Result<void> add_i32s(std::string_view key, std::span<const i32> values);
  // Copies a key of `file` unchanged.
  Result<void> copy(const GgufFile& file, usize position);
  // Adds a value that is encoded in the format already.
  Result<void> add_raw(std::string_view key, GgufType type, std::span<const Byte> value);

  // `offset` counts from the start of the data section.
  Result<void> add_tensor(std::string_view name, std::span<const u64> dimensions, u32 ggml_type,
                          u64 offset);

  // Returns the header with padding; the data section follows at the next multiple of `alignment`.
  // Unless that is 32, the caller has declared it as general.alignment.
  Result<Vector<Byte>> finish(u32 alignment = 32) const;

 private:
  Result<void> begin(std::string_view key, GgufType type);
  Vector<Byte> values_, tensors_;
  u64 value_count_ = 0, tensor_count_ = 0;
};

}  // namespace ai
