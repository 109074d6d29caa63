// SPDX-License-Identifier: GPL-2.0-or-later
// Errors are values: Result<T>, TRY and MUST. The one idiom of failure in this tree.
#pragma once

#include <expected>
#include <utility>

#include "kernel/base/types.h"

enum class Errc : u8 {
  kInvalidArgument,  // the caller (or the person) asked for something that makes no sense
  kOutOfMemory,
  kNotFound,
  kUnsupported,  // understood, but this build or machine cannot do it
  kCorrupt,      // foreign bytes break their own format
  kOutOfRange,
  kBusy,
  kTimeout,
  kIo,
  kCancelled,
  kFull,
  kPermission,
  kContextFull,  // the prompt or the answer does not fit the model's context
};

// `what` is a literal and is never freed. Facts (names, numbers) are logged where they are known.
struct Error {
  Errc code;
  const char* what;
};

// A value, or the Error that says why there is none. A call that drops one does not compile: the
// attribute stands on the class, so no function repeats it. A cast to void drops one on purpose.
template <class T>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
};

inline std::unexpected<Error> fail(Errc code, const char* what) {
  return std::unexpected(Error{code, what});
}

const char* errc_name(Errc code);

// Stops the machine with a message: implemented by the kernel's panic, by abort() in hosted tests.
// The only way out for broken invariants of our own; never for anything a file or peer can cause.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

#define ASSERT(expression) \
  ((expression) ? static_cast<void>(0) : ::assertion_failed(#expression, __FILE__, __LINE__))

// TRY(expr): the value of a Result, or return its error from this function. Never nested.
#define TRY(expression)                                                    \
  ({                                                                       \
    auto&& try_result_ = (expression);                                     \
    if (!try_result_.has_value()) [[unlikely]]                             \
      return std::unexpected(try_result_.error());                         \
    ::base_detail::take(std::forward<decltype(try_result_)>(try_result_)); \
  })

// MUST(expr): for boot code, where failure is a panic.
#define MUST(expression)                                                     \
  ({                                                                         \
    auto&& must_result_ = (expression);                                      \
    if (!must_result_.has_value()) [[unlikely]]                              \
      ::assertion_failed(must_result_.error().what, __FILE__, __LINE__);     \
    ::base_detail::take(std::forward<decltype(must_result_)>(must_result_)); \
  })

namespace base_detail {
// By value: a statement expression must not yield a reference to its own temporary.
template <class T>
T take(std::expected<T, Error>&& r) {
  if constexpr (std::is_void_v<T>)
    return;
  else
    return std::move(*r);
}
template <class T>
T take(std::expected<T, Error>& r) {
  if constexpr (std::is_void_v<T>)
    return;
  else
    return std::move(*r);
}
}  // namespace base_detail
