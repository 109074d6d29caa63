// SPDX-License-Identifier: GPL-2.0-or-later
// An arena for templates: memory that is taken piece by piece and freed all at once, with an upper
// bound.
#pragma once

#include <span>
#include <string_view>
#include <type_traits>

#include "kernel/base/containers.h"

namespace ai::jinja {

// Holds only trivially destructible objects. It fails past its limit, so no template can take more.
class Arena {
 public:
  explicit Arena(usize limit) : limit_(limit) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() {
    while (last_ != nullptr) {
      Block* previous = last_->previous;
      base::deallocate(last_);
      last_ = previous;
    }
  }

  template <class T>
    requires std::is_trivially_destructible_v<T>
  Result<T*> make() {
    return ::new (TRY(take(sizeof(T)))) T();
  }
  // Returns `count` value-initialized objects.
  template <class T>
    requires std::is_trivially_destructible_v<T>
  Result<T*> array(usize count) {
    usize bytes = 0;
    if (__builtin_mul_overflow(count, sizeof(T), &bytes))
      return fail(Errc::kOutOfMemory, "template needs too much memory");
    T* items = static_cast<T*>(TRY(take(bytes)));
    for (usize i = 0; i < count; i++) ::new (static_cast<void*>(items + i)) T();
    return items;
  }
  template <class T>
  Result<std::span<T>> copy(std::span<const T> items) {
    T* copied = TRY(array<T>(items.size()));
    std::copy(items.begin(), items.end(), copied);
    return std::span<T>(copied, items.size());
  }
  // Returns room for text that the caller fills.
  Result<char*> text(usize bytes) { return static_cast<char*>(TRY(take(bytes))); }
  Result<std::string_view> copy(std::string_view text) {
    if (text.empty()) return std::string_view();
    char* copied = static_cast<char*>(TRY(take(text.size())));
    std::memcpy(copied, text.data(), text.size());
    return std::string_view(copied, text.size());
  }
  usize used() const { return used_; }

 private:
  struct Block {
    Block* previous;
    usize size, used;
  };
  static constexpr usize kAlign = 16;
  static constexpr usize kHead = (sizeof(Block) + kAlign - 1) / kAlign * kAlign;
  static constexpr usize kBlock = 16 * 1024;

  Result<void*> take(usize bytes) {
    if (bytes > limit_ - used_) return fail(Errc::kOutOfMemory, "template needs too much memory");
    bytes = (bytes + kAlign - 1) / kAlign * kAlign;
    if (last_ == nullptr || bytes > last_->size - last_->used) TRY(grow(bytes));
    void* at = reinterpret_cast<Byte*>(last_) + kHead + last_->used;
    last_->used += bytes;
    used_ = std::min(limit_, used_ + bytes);
    return at;
  }
  Result<void> grow(usize bytes) {
    // Blocks double in size, so that many small objects take few allocations.
    usize size = std::max({bytes, kBlock, std::min(used_, usize{1} << 20)});
    void* memory = base::allocate(kHead + size, kAlign);
    if (memory == nullptr) return fail(Errc::kOutOfMemory, "out of memory");
    last_ = ::new (memory) Block{last_, size, 0};
    return {};
  }

  Block* last_ = nullptr;
  usize limit_, used_ = 0;
};

}  // namespace ai::jinja
