// SPDX-License-Identifier: GPL-2.0-or-later
// Containers whose growth can fail: Vector, String, StaticVector, StaticString. Vector and String
// own heap memory, so they are for threads only.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string_view>
#include <type_traits>

#include "kernel/base/memory.h"

// A growing array. Every member that allocates returns a Result, and indexing is checked. It can be
// moved, but copied only by clone(), so that a copy is visible where it costs.
template <class T>
class Vector {
 public:
  Vector() = default;
  Vector(Vector&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  Vector& operator=(Vector&& other) noexcept {
    if (this != &other) {
      release();
      data_ = std::exchange(other.data_, nullptr);
      size_ = std::exchange(other.size_, 0);
      capacity_ = std::exchange(other.capacity_, 0);
    }
    return *this;
  }
  Vector(const Vector&) = delete;
  Vector& operator=(const Vector&) = delete;
  ~Vector() { release(); }

  Result<void> reserve(usize capacity) {
    if (capacity <= capacity_) return {};
    usize bytes = 0;
    if (__builtin_mul_overflow(capacity, sizeof(T), &bytes))
      return fail(Errc::kOutOfMemory, "vector too large");
    T* grown = static_cast<T*>(base::allocate(bytes, std::max(alignof(T), alignof(void*))));
    if (grown == nullptr) return fail(Errc::kOutOfMemory, "out of memory");
    move_to(grown);
    if (data_ != nullptr) base::deallocate(data_);
    data_ = grown;
    capacity_ = capacity;
    return {};
  }

  Result<void> push_back(T value) {
    TRY(make_room(1));
    ::new (static_cast<void*>(data_ + size_)) T(std::move(value));
    size_++;
    return {};
  }

  Result<void> append(std::span<const T> values)
    requires std::is_trivially_copyable_v<T>
  {
    if (values.empty()) return {};
    TRY(make_room(values.size()));
    std::memcpy(data_ + size_, values.data(), values.size_bytes());
    size_ += values.size();
    return {};
  }

  // New elements are value-initialized.
  Result<void> resize(usize size) {
    TRY(reserve(size));
    while (size_ > size) data_[--size_].~T();
    if constexpr (std::is_trivially_default_constructible_v<T>) {
      if (size > size_)
        std::memset(static_cast<void*>(data_ + size_), 0, (size - size_) * sizeof(T));
      size_ = size;
    } else {
      while (size_ < size) ::new (static_cast<void*>(data_ + size_++)) T();
    }
    return {};
  }

  Result<Vector> clone() const
    requires std::is_copy_constructible_v<T>
  {
    Vector copy;
    TRY(copy.reserve(size_));
    for (usize i = 0; i < size_; i++) ::new (static_cast<void*>(copy.data_ + i)) T(data_[i]);
    copy.size_ = size_;
    return copy;
  }

  void pop_back() {
    ASSERT(size_ > 0);
    data_[--size_].~T();
  }
  void truncate(usize size) {
    while (size_ > size) data_[--size_].~T();
  }
  void clear() { truncate(0); }
  void erase(usize index) {
    ASSERT(index < size_);
    for (usize i = index; i + 1 < size_; i++) data_[i] = std::move(data_[i + 1]);
    pop_back();
  }

  T& operator[](usize i) {
    ASSERT(i < size_);
    return data_[i];
  }
  const T& operator[](usize i) const {
    ASSERT(i < size_);
    return data_[i];
  }
  T& back() {
    ASSERT(size_ > 0);
    return data_[size_ - 1];
  }
  const T& back() const {
    ASSERT(size_ > 0);
    return data_[size_ - 1];
  }
  T* data() { return data_; }
  const T* data() const { return data_; }
  usize size() const { return size_; }
  usize capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  std::span<T> view() { return {data_, size_}; }
  std::span<const T> view() const { return {data_, size_}; }

 private:
  Result<void> make_room(usize more) {
    if (more <= capacity_ - size_) return {};
    usize needed = 0;
    if (__builtin_add_overflow(size_, more, &needed))
      return fail(Errc::kOutOfMemory, "vector too large");
    return reserve(std::max({needed, capacity_ * 2, usize{8}}));
  }
  void move_to(T* grown) {
    if constexpr (std::is_trivially_copyable_v<T>) {
      if (size_ > 0) std::memcpy(static_cast<void*>(grown), data_, size_ * sizeof(T));
    } else {
      for (usize i = 0; i < size_; i++) {
        ::new (static_cast<void*>(grown + i)) T(std::move(data_[i]));
        data_[i].~T();
      }
    }
  }
  void release() {
    clear();
    if (data_ != nullptr) base::deallocate(data_);
    data_ = nullptr;
    capacity_ = 0;
  }

  T* data_ = nullptr;
  usize size_ = 0;
  usize capacity_ = 0;
};

// Owns bytes of text, without a terminating zero.
class String {
 public:
  static Result<String> from(std::string_view text) {
    String s;
    TRY(s.append(text));
    return s;
  }
  Result<void> append(std::string_view text) {
    return chars_.append(std::span<const char>(text.data(), text.size()));
  }
  Result<void> push_back(char c) { return chars_.push_back(c); }
  Result<void> reserve(usize n) { return chars_.reserve(n); }
  Result<void> assign(std::string_view text) {
    chars_.clear();
    return append(text);
  }
  Result<String> clone() const { return from(view()); }
  void clear() { chars_.clear(); }
  void truncate(usize size) { chars_.truncate(size); }
  std::string_view view() const { return {chars_.data(), chars_.size()}; }
  usize size() const { return chars_.size(); }
  bool empty() const { return chars_.empty(); }
  char operator[](usize i) const { return chars_[i]; }
  Vector<char>& chars() { return chars_; }

 private:
  Vector<char> chars_;
};

// An array of at most N elements, stored in place. push_back() fails when it is full.
template <class T, usize N>
class StaticVector {
 public:
  [[nodiscard]] bool push_back(const T& value) {
    if (size_ == N) return false;
    items_[size_++] = value;
    return true;
  }
  void clear() { size_ = 0; }
  void truncate(usize size) { size_ = std::min(size, size_); }
  T& operator[](usize i) {
    ASSERT(i < size_);
    return items_[i];
  }
  const T& operator[](usize i) const {
    ASSERT(i < size_);
    return items_[i];
  }
  usize size() const { return size_; }
  static constexpr usize capacity() { return N; }
  bool empty() const { return size_ == 0; }
  bool full() const { return size_ == N; }
  T* begin() { return items_.data(); }
  T* end() { return items_.data() + size_; }
  const T* begin() const { return items_.data(); }
  const T* end() const { return items_.data() + size_; }
  std::span<const T> view() const { return {items_.data(), size_}; }
  std::span<T> view() { return {items_.data(), size_}; }

 private:
  std::array<T, N> items_{};
  usize size_ = 0;
};
