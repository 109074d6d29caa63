// SPDX-License-Identifier: GPL-2.0-or-later
// Bytes in pieces, to somebody who wants them or from somebody who has them.
#pragma once

#include <span>

#include "kernel/base/result.h"

namespace ai {

class ByteSink {
 public:
  virtual Result<void> write(std::span<const Byte> bytes) = 0;

 protected:
  ~ByteSink() = default;
};

class ByteSource {
 public:
  virtual Result<void> read(std::span<Byte> out) = 0;  // all of `out`, or an error

 protected:
  ~ByteSource() = default;
};

}  // namespace ai
