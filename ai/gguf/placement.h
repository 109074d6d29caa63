// SPDX-License-Identifier: GPL-2.0-or-later
// A mark for tensors that are not in memory, because they stay in the file
// (ai/models/expert_file.h).
#pragma once

#include "ai/gguf/reader.h"

namespace ai {

// A bit of GgufTensor::part. The tensor's offset is its place in the file, and its view points to
// bytes that must not be read.
constexpr u32 kStaysInFile = u32{1} << 31;

inline bool stays_in_file(const GgufTensor& tensor) {
  return (tensor.part & kStaysInFile) != 0;
}
inline u32 part_of(const GgufTensor& tensor) {
  return tensor.part & ~kStaysInFile;
}

}  // namespace ai
