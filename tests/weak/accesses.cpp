// SPDX-License-Identifier: GPL-2.0-or-later
// The functions that instrumented code calls at each access. Their names are ThreadSanitizer's,
// their bodies the explorer's. Outside explore() they do the plain access.
#include <arch/cpu.h>

#include <algorithm>

#include "kernel/arch_contract.h"
#include "tests/weak/model.h"

using weak::machine;
using weak::number;
using weak::Order;
using weak::Value;
using weak::value_of;

namespace {

// Marks a call into the explorer. The explorer uses library templates, and the linker may have
// chosen their instrumented copies: those accesses are not part of the test.
class Inside {
 public:
  Inside() { machine.inside = true; }
  ~Inside() { machine.inside = false; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
};

void touch(const volatile void* address, usize size, bool writes) {
  if (!machine.active()) return;
  Inside inside;
  if (!machine.is_racy(address)) return machine.plain(address, size, writes);
  if (writes) return machine.store_racy(address, size);
  Value value = machine.load(address, size, Order::kRelaxed);
  std::memcpy(const_cast<void*>(address), value.bytes.data(), size);  // the code reads it next
}

// Copies of racy data go in pieces, each a relaxed access.
void copy(void* to, const void* from, usize size) {
  if (!machine.active()) {
    std::memmove(to, from, size);
    return;
  }
  Inside inside;
  if (!machine.is_racy(to) && !machine.is_racy(from)) {
    machine.plain(from, size, false);
    machine.plain(to, size, true);
    std::memmove(to, from, size);
    return;
  }
  for (usize at = 0; at < size; at += weak::kMostBytes) {
    usize piece = std::min(weak::kMostBytes, size - at);
    auto* source = static_cast<const Byte*>(from) + at;
    auto* target = static_cast<Byte*>(to) + at;
    Value value;
    if (machine.is_racy(from)) {
      value = machine.load(source, piece, Order::kRelaxed);
    } else {
      std::memcpy(value.bytes.data(), source, piece);
    }
    if (machine.is_racy(to)) {
      machine.store(target, piece, value, Order::kRelaxed);
    } else {
      machine.plain(target, piece, true);
      std::memcpy(target, value.bytes.data(), piece);
    }
  }
}

template <class T>
T atomic_load(const volatile T* at, int order) {
  if (!machine.active()) return *at;
  Inside inside;
  return number<T>(machine.load(at, sizeof(T), Order{order}));
}
template <class T>
void atomic_store(volatile T* at, T value, int order) {
  if (!machine.active()) {
    *at = value;
    return;
  }
  Inside inside;
  machine.store(at, sizeof(T), value_of(value), Order{order});
}
template <class T, class Change>
T atomic_modify(volatile T* at, int order, Change change) {
  if (!machine.active()) {
    T before = *at, after = before;
    if (change(after)) *at = after;
    return before;
  }
  Inside inside;
  return number<T>(machine.modify(at, sizeof(T), Order{order}, [&](Value& value) {
    T after = number<T>(value);
    bool changed = change(after);
    value = value_of(after);
    return changed;
  }));
}

}  // namespace

extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void** at, void*) {
  touch(at, sizeof *at, true);
}
void __tsan_vptr_read(void** at) {
  touch(at, sizeof *at, false);
}
void __tsan_atomic_thread_fence(int order) {
  if (!machine.active()) return;
  Inside inside;
  machine.fence(Order{order});
}
void __tsan_atomic_signal_fence(int) {}
void* __tsan_memcpy(void* to, const void* from, usize size) {
  copy(to, from, size);
  return to;
}
void* __tsan_memmove(void* to, const void* from, usize size) {
  copy(to, from, size);
  return to;
}
void* __tsan_memset(void* to, int value, usize size) {
  touch(to, size, true);
  return std::memset(to, value, size);
}

#define PLAIN(size)                             \
  void __tsan_read##size(void* at) {            \
    touch(at, size, false);                     \
  }                                             \
  void __tsan_write##size(void* at) {           \
    touch(at, size, true);                      \
  }                                             \
  void __tsan_unaligned_read##size(void* at) {  \
    touch(at, size, false);                     \
  }                                             \
  void __tsan_unaligned_write##size(void* at) { \
    touch(at, size, true);                      \
  }
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

#define ATOMIC(bits, type)                                                                       \
  type __tsan_atomic##bits##_load(const volatile type* at, int order) {                          \
    return atomic_load(at, order);                                                               \
  }                                                                                              \
  void __tsan_atomic##bits##_store(volatile type* at, type value, int order) {                   \
    atomic_store(at, value, order);                                                              \
  }                                                                                              \
  type __tsan_atomic##bits##_exchange(volatile type* at, type value, int order) {                \
    return atomic_modify(at, order, [&](type& v) { return v = value, true; });                   \
  }                                                                                              \
  type __tsan_atomic##bits##_fetch_add(volatile type* at, type value, int order) {               \
    return atomic_modify(at, order, [&](type& v) { return v = type(v + value), true; });         \
  }                                                                                              \
  type __tsan_atomic##bits##_fetch_sub(volatile type* at, type value, int order) {               \
    return atomic_modify(at, order, [&](type& v) { return v = type(v - value), true; });         \
  }                                                                                              \
  type __tsan_atomic##bits##_compare_exchange_val(volatile type* at, type wanted, type value,    \
                                                  int order, int) {                              \
    return atomic_modify(at, order,                                                              \
                         [&](type& v) { return v == wanted ? (v = value, true) : false; });      \
  }                                                                                              \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile type* at, type* wanted, type value, \
                                                    int order, int failed) {                     \
    type before = __tsan_atomic##bits##_compare_exchange_val(at, *wanted, value, order, failed); \
    if (before == *wanted) return 1;                                                             \
    *wanted = before;                                                                            \
    return 0;                                                                                    \
  }
ATOMIC(8, u8)
ATOMIC(16, u16)
ATOMIC(32, u32)
ATOMIC(64, u64)
}  // extern "C"

void assertion_failed(const char* condition, const char*, int) {
  Inside inside;
  machine.check(false, condition);
  std::abort();
}

namespace weak {

Outcome explore(const Options& options, std::vector<std::function<void()>> threads) {
  return machine.explore(options, std::move(threads));
}
void start_others() {
  Inside inside;
  machine.start_others();
}
void check(bool holds, const char* what) {
  Inside inside;
  machine.check(holds, what);
}
void racy(const volatile void* data, usize bytes) {
  Inside inside;
  machine.racy(data, bytes);
}

}  // namespace weak

namespace arch {

u64 Cpu::now_ticks() {
  return machine.running() == weak::kNobody ? 0 : machine.self().clock;
}
TickRate Cpu::tick_rate() {
  return {1'000'000'000, "host"};
}
u32 Cpu::cpu_index() {
  return machine.running() == weak::kNobody ? 0 : machine.running();
}
u32 Cpu::cpu_count() {
  return weak::kMostThreads;
}
Result<void> Cpu::start_secondary_cpu(u32 index, void (*entry)(void*), void* argument) {
  Inside inside;
  if (machine.has(index)) return fail(Errc::kNotFound, "no further CPU");
  machine.add_cpu([entry, argument] { entry(argument); });
  return {};
}
CpuFeatures Cpu::cpu_features() {
  return {};
}
void Cpu::wait_for_interrupt() {
  Inside inside;
  machine.wait_for_interrupt();
}
void Cpu::wake_cpu(u32 index) {
  Inside inside;
  machine.wake(index);
}
Result<void> Cpu::watch_boot_cpu(void (*)()) {
  return fail(Errc::kUnsupported, "no timer");
}
void Cpu::relax() {
  Inside inside;
  machine.relax();
}
void Cpu::wait_while_equal(const std::atomic<u32>& word, u32 value, u64 deadline_ticks) {
  Inside inside;
  machine.wait_while_equal(&word, value_of(value), deadline_ticks);
}
Result<void> Cpu::guard_page(void*) {
  return {};
}
Result<u64> Cpu::hardware_random() {
  return u64{1};
}

}  // namespace arch
