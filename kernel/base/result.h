// SPDX-License-Identifier: GPL-2.0-or-later
// Errors are values: Result<T>, TRY and MUST. Every function in this tree that can fail uses them.
#pragma once

#include <expected>
#include <utility>

#include "kernel/base/types.h"

enum class Errc : u8 {
  kInvalidArgument,  // the caller or the person asked for something that makes no sense
  kOutOfMemory,
  kNotFound,
  kUnsupported,  // understood, but this build or machine cannot do it
  kCorrupt,      // foreign bytes violate their own format
  kOutOfRange,
  kBusy,
  kTimeout,
  kIo,
  kCancelled,
  kFull,
  kPermission,
  kContextFull,  // the prompt or the answer exceeds the model's context
};

// `what` is a string literal and is never freed. The place that knows names and numbers logs them.
struct Error {
  Errc code;
  const char* what;
};

// A value, or the Error that says why there is none. Dropping a Result does not compile: the
// attribute on the class covers every function. A cast to void drops one on purpose.
template <class T>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
};

inline std::unexpected<Error> fail(Errc code, const char* what) {
  return std::unexpected(Error{code, what});
}

const char* errc_name(Errc code);

// Stops the machine with a message: the kernel panics, hosted programs abort. It is only for broken
// invariants of our own code, never for anything that a file or a peer can cause.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

#define ASSERT(expression) \
  ((expression) ? static_cast<void>(0) : ::assertion_failed(#expression, __FILE__, __LINE__))

// TRY(expr) is the value of a Result, or returns its error from this function. It is never nested.
#define TRY(expression)                                                    \
  ({                                                                       \
    auto&& try_result_ = (expression);                                     \
    if (!try_result_.has_value()) [[unlikely]]                             \
      return std::unexpected(try_result_.error());                         \
    ::base_detail::take(std::forward<decltype(try_result_)>(try_result_)); \
  })

// MUST(expr) is the value of a Result, or panics with its error. For boot code, and for calls whose
// room was reserved.
#define MUST(expression)                                                     \
  ({                                                                         \
    auto&& must_result_ = (expression);                                      \
    if (!must_result_.has_value()) [[unlikely]]                              \
      ::assertion_failed(must_result_.error().what, __FILE__, __LINE__);     \
    ::base_detail::take(std::forward<decltype(must_result_)>(must_result_)); \
  })

namespace base_detail {
// Returns by value: a statement expression must not yield a reference to its own temporary.
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
