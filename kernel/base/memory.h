// SPDX-License-Identifier: GPL-2.0-or-later
// Where owners get their memory. Exhaustion is a value (nullptr), never an exception.
//
// Implemented once a product: kernel/mm/memory.cpp (the machine) and arch/host/memory.cpp (the twin
// and unit tests: malloc with injected failures). Thread context only.
#pragma once

#include <memory>
#include <new>
#include <utility>

#include "kernel/base/result.h"

namespace base {

// `align` is a power of two. Returns nullptr when there is none left.
void* allocate(usize bytes, usize align = alignof(std::max_align_t));
void deallocate(void* memory);

struct Delete {
  template <class T>
  void operator()(T* object) const {
    object->~T();
    deallocate(object);
  }
};

template <class T>
using Owner = std::unique_ptr<T, Delete>;

// The only way to make a heap object: Owner<T> or kOutOfMemory.
template <class T, class... Args>
Result<Owner<T>> make(Args&&... args) {
  void* memory = allocate(sizeof(T), alignof(T));
  if (memory == nullptr) return fail(Errc::kOutOfMemory, "out of memory");
  return Owner<T>(::new (memory) T(std::forward<Args>(args)...));
}

}  // namespace base
