// SPDX-License-Identifier: GPL-2.0-or-later
// Streams of bytes, written to a sink or read from a source, piece by piece. Both may wait for a
// disk.
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
  virtual Result<void> read(std::span<Byte> out) = 0;  // fills all of `out` or fails

 protected:
  ~ByteSource() = default;
};

}  // namespace ai
