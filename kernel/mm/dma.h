// SPDX-License-Identifier: GPL-2.0-or-later
// Memory that devices read and write: physically contiguous, zeroed, and freed with its owner.
#pragma once

#include <utility>

#include "kernel/mm/memory.h"

namespace mm {

class DmaBuffer {
 public:
  // `below` is the first address that the device cannot reach (4 GiB for 32-bit devices).
  static Result<DmaBuffer> create(usize bytes, u64 below = ~u64{0}) {
    auto pages = TRY(allocate_pages({.bytes = bytes, .purpose = Purpose::kDma, .below = below}));
    return DmaBuffer(pages);
  }
  DmaBuffer() = default;
  DmaBuffer(DmaBuffer&& other) noexcept : pages_(std::exchange(other.pages_, {})) {}
  DmaBuffer& operator=(DmaBuffer&& other) noexcept {
    std::swap(pages_, other.pages_);
    return *this;
  }
  ~DmaBuffer() {
    if (!pages_.empty()) free_pages(pages_);
  }

  std::span<Byte> bytes() const { return pages_; }
  u64 address() const { return reinterpret_cast<u64>(pages_.data()); }  // as the device sees it

 private:
  explicit DmaBuffer(std::span<Byte> pages) : pages_(pages) {}
  std::span<Byte> pages_;
};

}  // namespace mm
