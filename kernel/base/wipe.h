// SPDX-License-Identifier: GPL-2.0-or-later
// Secrets leave memory when they are no longer needed.
#pragma once

#include <cstring>
#include <span>

#include "kernel/base/types.h"

namespace base {

// Zeros that the compiler may not leave out although nobody reads them. Any context.
inline void wipe(void* memory, usize bytes) {
  if (bytes != 0) std::memset(memory, 0, bytes);
  asm("" : : "r"(memory) : "memory");
}
inline void wipe(std::span<Byte> bytes) {
  wipe(bytes.data(), bytes.size());
}
inline void wipe(std::span<char> text) {
  wipe(text.data(), text.size());
}

}  // namespace base
