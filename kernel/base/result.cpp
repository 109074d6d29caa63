// SPDX-License-Identifier: GPL-2.0-or-later
// Names error codes for logs and JSON.
#include "kernel/base/result.h"

#include <iterator>

const char* errc_name(Errc code) {
  constexpr const char* kNames[] = {
      "invalid_argument",
      "out_of_memory",
      "not_found",
      "unsupported",
      "corrupt",
      "out_of_range",
      "busy",
      "timeout",
      "io",
      "cancelled",
      "full",
      "permission",
      "context_full",
  };
  static_assert(std::size(kNames) == static_cast<usize>(Errc::kContextFull) + 1);
  return kNames[static_cast<usize>(code)];
}
