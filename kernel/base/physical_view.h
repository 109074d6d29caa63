// SPDX-License-Identifier: GPL-2.0-or-later
// Bounded reading of firmware structures, which point at one another by physical address.
//
// Parsers of firmware tables take a PhysicalView, so that tests and fuzzers can give them a buffer
// instead of memory.
#pragma once

#include <span>

#include "kernel/base/bytes.h"

namespace base {

class PhysicalView {
 public:
  // Returns the bytes [address, address + bytes), or kCorrupt if that is no readable memory.
  virtual Result<std::span<const Byte>> at(u64 address, u64 bytes) = 0;

  template <class T>
  Result<T> read(u64 address) {
    auto bytes = at(address, sizeof(T));
    if (!bytes.has_value()) return std::unexpected(bytes.error());
    return load<T>(bytes->data());
  }

 protected:
  ~PhysicalView() = default;
};

// A buffer that stands for the memory starting at `base`.
class BufferView final : public PhysicalView {
 public:
  BufferView(u64 base, std::span<const Byte> bytes) : base_(base), bytes_(bytes) {}
  Result<std::span<const Byte>> at(u64 address, u64 bytes) override {
    if (address < base_) return fail(Errc::kCorrupt, "points before memory");
    return slice(bytes_, address - base_, bytes);
  }

 private:
  u64 base_;
  std::span<const Byte> bytes_;
};

}  // namespace base
