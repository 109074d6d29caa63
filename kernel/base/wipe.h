// SPDX-License-Identifier: GPL-2.0-or-later
// Wipes secrets from memory when they are no longer needed: keys, prompts and answers.
#pragma once

#include <cstring>
#include <span>

#include "kernel/base/containers.h"

namespace base {

// Writes zeros that the compiler may not omit, although nobody reads them. Any context.
inline void wipe(void* memory, usize bytes) {
  if (bytes == 0) return;
  std::memset(memory, 0, bytes);
  asm("" : : "r"(memory) : "memory");
}
inline void wipe(std::span<Byte> bytes) {
  wipe(bytes.data(), bytes.size());
}
inline void wipe(std::span<char> text) {
  wipe(text.data(), text.size());
}

// Wipes and empties a container, including the unused room behind its elements, where something
// longer may have been.
template <class T>
  requires std::is_trivially_copyable_v<T>
void wipe(Vector<T>& items) {
  wipe(static_cast<void*>(items.data()), items.capacity() * sizeof(T));
  items.clear();
}
inline void wipe(String& text) {
  wipe(text.chars());
}

// A container that is wiped when it is destroyed. It cannot be copied or moved.
template <class Container>
struct Wiped : Container {
  Wiped() = default;
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  ~Wiped() { wipe(static_cast<Container&>(*this)); }
};

}  // namespace base
