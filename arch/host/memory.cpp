// SPDX-License-Identifier: GPL-2.0-or-later
// Implements base::allocate for hosted programs: malloc, with counted allocations and injected
// failures.
#include "arch/host/memory.h"

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "kernel/base/memory.h"

namespace host {
namespace {
std::atomic<u64> allocations{0};
std::atomic<i64> live{0};
std::atomic<u64> bytes{0};
std::atomic<u64> fail_at{0};  // 1 = the next allocation fails; 0 = never
}  // namespace

u64 allocation_count() {
  return allocations.load();
}
u64 live_bytes() {
  return bytes.load();
}
i64 live_allocations() {
  return live.load();
}
void fail_allocation(u64 nth) {
  fail_at.store(nth == 0 ? 0 : allocations.load() + nth);
}

bool allocation_may_succeed() {
  return allocations.fetch_add(1) + 1 != fail_at.load();
}

}  // namespace host

namespace base {

void* allocate(usize bytes, usize align) {
  if (!host::allocation_may_succeed()) return nullptr;
  if (bytes > (usize{1} << 46))
    return nullptr;  // ASan aborts on absurd sizes, while the kernel's heap refuses them
  usize rounded = (std::max(bytes, usize{1}) + align - 1) / align * align;
  void* memory = align <= alignof(std::max_align_t) ? std::malloc(rounded)
                                                    : std::aligned_alloc(align, rounded);
  if (memory == nullptr) return nullptr;
  host::live++;
  host::bytes += malloc_usable_size(memory);
  return memory;
}

void deallocate(void* memory) {
  if (memory == nullptr) return;
  host::live--;
  host::bytes -= malloc_usable_size(memory);
  std::free(memory);
}

}  // namespace base

void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
  std::abort();
}
