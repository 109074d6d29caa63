// SPDX-License-Identifier: GPL-2.0-or-later
// The allocator behind Owner and the containers. A lack of memory is a value (nullptr), never an
// exception.
//
// Each product implements it once: kernel/mm/memory.cpp for the machine, arch/host/memory.cpp for
// the twin and unit tests (malloc with injected failures). For threads only; it never waits.
#pragma once

#include <memory>
#include <new>
#include <utility>

#include "kernel/base/result.h"

namespace base {

// `align` is a power of two. Returns nullptr if no memory is left.
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

// Makes an object on the heap. This is the only way to do so. Returns its Owner, or kOutOfMemory.
template <class T, class... Args>
Result<Owner<T>> make(Args&&... args) {
  void* memory = allocate(sizeof(T), alignof(T));
  if (memory == nullptr) return fail(Errc::kOutOfMemory, "out of memory");
  return Owner<T>(::new (memory) T(std::forward<Args>(args)...));
}

}  // namespace base
