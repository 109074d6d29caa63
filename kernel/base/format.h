// SPDX-License-Identifier: GPL-2.0-or-later
// Bounded formatting: "{}", "{:x}", "{:08x}", "{:>8}", "{:<12}". No float, no allocation.
//
// Fixed-point numbers are printed with Decimal: Decimal{12345, 3} is "12.345".
// May be called from anywhere, interrupts and panic included.
#pragma once

#include <concepts>
#include <span>
#include <string_view>
#include <type_traits>

#include "kernel/base/containers.h"

namespace base {

// Receives formatted text.
class Writer {
 public:
  virtual void write(std::string_view text) = 0;

 protected:
  ~Writer() = default;
};

// Writes into the caller's buffer and drops what does not fit; truncated() then returns true.
class BufferWriter final : public Writer {
 public:
  explicit BufferWriter(std::span<char> buffer) : buffer_(buffer) {}
  void write(std::string_view text) override;
  std::string_view view() const { return {buffer_.data(), size_}; }
  bool truncated() const { return truncated_; }

 private:
  std::span<char> buffer_;
  usize size_ = 0;
  bool truncated_ = false;
};

// Appends to a String. status() keeps the first failed growth.
class StringWriter final : public Writer {
 public:
  explicit StringWriter(String& out) : out_(out) {}
  void write(std::string_view text) override {
    if (status_.has_value()) status_ = out_.append(text);
  }
  Result<void> status() const { return status_; }

 private:
  String& out_;
  Result<void> status_;
};

struct Decimal {
  i64 scaled;  // value * 10^digits
  u32 digits;  // digits after the point, at most 9
};

// Returns value / unit as a Decimal with `digits` places, rounded half up. Returns 0 if unit is 0.
Decimal ratio(u64 value, u64 unit, u32 digits);

struct FormatArg {
  enum class Kind : u8 { kSigned, kUnsigned, kChar, kText, kPointer, kDecimal };
  Kind kind;
  u8 digits = 0;
  union {
    i64 number;
    u64 word;
    std::string_view text;
  };

  template <std::signed_integral T>
    requires(!std::same_as<T, char>)
  FormatArg(T v) : kind(Kind::kSigned), number(v) {}
  template <std::unsigned_integral T>
    requires(!std::same_as<T, char> && !std::same_as<T, bool>)
  FormatArg(T v) : kind(Kind::kUnsigned), word(v) {}
  FormatArg(char c) : kind(Kind::kChar), word(static_cast<unsigned char>(c)) {}
  FormatArg(bool b) : kind(Kind::kText), text(b ? "yes" : "no") {}
  FormatArg(const char* s) : kind(Kind::kText), text(s == nullptr ? "(null)" : s) {}
  FormatArg(std::string_view s) : kind(Kind::kText), text(s) {}
  FormatArg(const String& s) : kind(Kind::kText), text(s.view()) {}
  FormatArg(const void* p) : kind(Kind::kPointer), word(reinterpret_cast<u64>(p)) {}
  FormatArg(Decimal d)
      : kind(Kind::kDecimal), digits(static_cast<u8>(d.digits)), number(d.scaled) {}
  FormatArg(const Error& e) : kind(Kind::kText), text(e.what) {}
  template <class T>
    requires std::is_enum_v<T>
  FormatArg(T v) : FormatArg(static_cast<std::underlying_type_t<T>>(v)) {}
};

void format_args(Writer& out, std::string_view format, std::span<const FormatArg> args);

template <class... Args>
void format_to(Writer& out, std::string_view format, const Args&... args) {
  if constexpr (sizeof...(Args) == 0) {
    format_args(out, format, {});
  } else {
    const FormatArg packed[] = {FormatArg(args)...};
    format_args(out, format, packed);
  }
}

// Formats into `buffer` and returns the part that was written.
template <class... Args>
std::string_view format_into(std::span<char> buffer, std::string_view format, const Args&... args) {
  BufferWriter writer(buffer);
  format_to(writer, format, args...);
  return writer.view();
}

}  // namespace base
