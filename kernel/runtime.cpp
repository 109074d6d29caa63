// SPDX-License-Identifier: GPL-2.0-or-later
// Functions that gcc and libstdc++ call when this program is wrong. All of them panic.
#include "kernel/base/result.h"
#include "kernel/panic.h"

void assertion_failed(const char* expression, const char* file, int line) {
  panic("{}:{}: assertion failed: {}", file, line, expression);
}

extern "C" {

[[noreturn]] void __stack_chk_fail() {
  panic("a function's stack frame was overwritten (stack canary)");
}
[[noreturn]] void __cxa_pure_virtual() {
  panic("a pure virtual function was called");
}
[[noreturn]] void abort() {
  panic("abort() was called");
}
// libgcc's bit count, for code that may not assume POPCNT.
int __popcountdi2(long word) {
  u64 w = static_cast<u64>(word);
  w -= w >> 1 & 0x5555555555555555;
  w = (w & 0x3333333333333333) + (w >> 2 & 0x3333333333333333);
  w = (w + (w >> 4)) & 0x0f0f0f0f0f0f0f0f;
  return static_cast<int>(w * 0x0101010101010101 >> 56);
}
// Would run the destructors of static objects; the kernel does not end.
void* __dso_handle = nullptr;
int __cxa_atexit(void (*)(void*), void*, void*) {
  return 0;
}

}  // extern "C"

// The compiler emits calls for virtual destructors, but they are never made: objects are destroyed
// by base::Delete.
void operator delete(void*) noexcept {
  panic("operator delete was called");
}
void operator delete(void*, usize) noexcept {
  panic("operator delete was called");
}

namespace std {

[[noreturn]] void __glibcxx_assert_fail(const char* file, int line, const char* function,
                                        const char* condition) noexcept {
  panic("{}:{}: {}: {}", file, line, function, condition);
}
#define STD_THROW(name)                                         \
  [[noreturn]] void name(const char* text) {                    \
    panic("the C++ library would throw: {} ({})", text, #name); \
  }
STD_THROW(__throw_logic_error)
STD_THROW(__throw_length_error)
STD_THROW(__throw_out_of_range)
STD_THROW(__throw_invalid_argument)
#undef STD_THROW
[[noreturn]] void __throw_out_of_range_fmt(const char* format, ...) {
  panic("the C++ library would throw out_of_range: {}", format);
}
[[noreturn]] void __throw_bad_optional_access() {
  panic("an empty std::optional was read");
}

}  // namespace std
