// SPDX-License-Identifier: GPL-2.0-or-later
// The target of gcc's checks for undefined behaviour (`make SAN=1`): a panic that names the place.
//
// The names and layouts are those that gcc 12 calls (libsanitizer, ubsan_handlers.h).
#include "kernel/panic.h"

namespace {

struct Location {
  const char* file;
  u32 line, column;
};

[[noreturn]] void report(const Location* where, const char* what) {
  panic("undefined behaviour: {}, at {}:{}:{}", what, where->file, where->line, where->column);
}

}  // namespace

// Every record begins with its location, except that of a null return, which is passed separately.
// The operands' values follow in registers and are not printed here: the panic shows the registers.
#define UBSAN_HANDLER(name, what)                                                   \
  extern "C" [[noreturn]] void __ubsan_handle_##name##_abort(const Location* data); \
  void __ubsan_handle_##name##_abort(const Location* data) {                        \
    report(data, what);                                                             \
  }
UBSAN_HANDLER(type_mismatch_v1, "a null, misaligned or too small object is used")
UBSAN_HANDLER(alignment_assumption, "an assumed alignment does not hold")
UBSAN_HANDLER(add_overflow, "a signed sum overflows")
UBSAN_HANDLER(sub_overflow, "a signed difference overflows")
UBSAN_HANDLER(mul_overflow, "a signed product overflows")
UBSAN_HANDLER(negate_overflow, "a negation overflows")
UBSAN_HANDLER(divrem_overflow, "a division by zero or that overflows")
UBSAN_HANDLER(shift_out_of_bounds, "a shift by too much or of a negative number")
UBSAN_HANDLER(out_of_bounds, "an index outside its array")
UBSAN_HANDLER(vla_bound_not_positive, "an array of no size")
UBSAN_HANDLER(float_cast_overflow, "a float that does not fit its integer")
UBSAN_HANDLER(load_invalid_value, "a value that its type does not have")
UBSAN_HANDLER(invalid_builtin, "a bit scan of zero")
UBSAN_HANDLER(nonnull_arg, "null for a parameter that forbids it")
UBSAN_HANDLER(pointer_overflow, "pointer arithmetic wraps")
UBSAN_HANDLER(function_type_mismatch, "a function called through the wrong type")
#undef UBSAN_HANDLER

extern "C" {
[[noreturn]] void __ubsan_handle_nonnull_return_v1_abort(const void* data, const Location* where);
[[noreturn]] void __ubsan_handle_builtin_unreachable(const Location* data);
[[noreturn]] void __ubsan_handle_missing_return(const Location* data);
}

void __ubsan_handle_nonnull_return_v1_abort(const void*, const Location* where) {
  report(where, "null returned by a function that promised not to");
}
void __ubsan_handle_builtin_unreachable(const Location* data) {
  report(data, "unreachable code is reached");
}
void __ubsan_handle_missing_return(const Location* data) {
  report(data, "the end of a function that returns a value");
}
