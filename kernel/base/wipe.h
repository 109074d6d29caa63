// SPDX-License-Identifier: GPL-2.0-or-later
// What others must not read leaves memory when it is no longer needed: keys, prompts, answers.
#pragma once

#include <cstring>
#include <span>

#include "kernel/base/containers.h"

namespace base {

// Zeros that the compiler may not leave out although nobody reads them. Any context.
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

// Empties a container, the room behind its elements included: something longer may have been there.
template <class T>
  requires std::is_trivially_copyable_v<T>
void wipe(Vector<T>& items) {
  wipe(static_cast<void*>(items.data()), items.capacity() * sizeof(T));
  items.clear();
}
inline void wipe(String& text) {
  wipe(text.chars());
}

// A container that is wiped when it goes. It can neither be copied nor moved.
template <class Container>
struct Wiped : Container {
  Wiped() = default;
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  ~Wiped() { wipe(static_cast<Container&>(*this)); }
};

}  // namespace base
