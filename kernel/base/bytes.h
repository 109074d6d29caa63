// SPDX-License-Identifier: GPL-2.0-or-later
// The bounded reader for foreign bytes, checked arithmetic, and unaligned little-endian access. Any
// context.
#pragma once

#include <bit>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "kernel/base/result.h"

namespace base {

static_assert(std::endian::native == std::endian::little, "formats below are little-endian");

// Uses the compiler's built-in, because a freestanding compiler would call std::memcpy even for two
// bytes.
template <class T>
  requires std::is_trivially_copyable_v<T>
T load(const Byte* at) {
  T value;
  __builtin_memcpy(&value, at, sizeof value);
  return value;
}

template <class T>
  requires std::is_trivially_copyable_v<T>
void store(Byte* at, T value) {
  __builtin_memcpy(at, &value, sizeof value);
}

inline u16 swap_be(u16 v) {
  return __builtin_bswap16(v);
}
inline u32 swap_be(u32 v) {
  return __builtin_bswap32(v);
}
inline u64 swap_be(u64 v) {
  return __builtin_bswap64(v);
}

inline Result<u64> checked_add(u64 a, u64 b) {
  u64 sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return fail(Errc::kCorrupt, "sum overflows");
  return sum;
}

inline Result<u64> checked_mul(u64 a, u64 b) {
  u64 product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return fail(Errc::kCorrupt, "product overflows");
  return product;
}

constexpr bool is_power_of_two(u64 v) {
  return v != 0 && (v & (v - 1)) == 0;
}
constexpr u64 round_up(u64 v, u64 power_of_two) {
  return (v + power_of_two - 1) & ~(power_of_two - 1);
}
constexpr u64 round_down(u64 v, u64 power_of_two) {
  return v & ~(power_of_two - 1);
}

// Returns the bytes [offset, offset + bytes) of `all`, or kCorrupt. The arithmetic cannot wrap.
inline Result<std::span<const Byte>> slice(std::span<const Byte> all, u64 offset, u64 bytes) {
  if (offset > all.size() || bytes > all.size() - offset)
    return fail(Errc::kCorrupt, "ends in the middle of a field");
  return all.subspan(offset, bytes);
}

// Reads a run of bytes from front to back. Each read is checked, and a failed read leaves the
// position unchanged.
class ByteReader {
 public:
  explicit ByteReader(std::span<const Byte> bytes) : bytes_(bytes) {}

  template <class T>
    requires std::is_trivially_copyable_v<T>
  Result<T> read() {
    if (remaining() < sizeof(T)) return fail(Errc::kCorrupt, "ends in the middle of a field");
    T value = load<T>(bytes_.data() + position_);
    position_ += sizeof(T);
    return value;
  }
  Result<std::span<const Byte>> read_bytes(u64 count) {
    if (count > remaining()) return fail(Errc::kCorrupt, "ends in the middle of a field");
    auto part = bytes_.subspan(position_, count);
    position_ += count;
    return part;
  }
  Result<std::string_view> read_text(u64 count) {
    auto part = read_bytes(count);
    if (!part.has_value()) return std::unexpected(part.error());
    return std::string_view(reinterpret_cast<const char*>(part->data()), part->size());
  }
  Result<void> skip(u64 count) {
    if (count > remaining()) return fail(Errc::kCorrupt, "ends in the middle of a field");
    position_ += count;
    return {};
  }
  u64 position() const { return position_; }
  u64 remaining() const { return bytes_.size() - position_; }

 private:
  std::span<const Byte> bytes_;
  u64 position_ = 0;
};

}  // namespace base
