// SPDX-License-Identifier: GPL-2.0-or-later
// Firmware memory for tests, with tables that are put together by hand.
#pragma once

#include <initializer_list>

#include "kernel/base/bytes.h"
#include "kernel/base/physical_view.h"

// A piece of memory with tables at fixed places.
struct Firmware {
  static constexpr u64 kBase = 0xe0000;
  Byte bytes[0x1000] = {};

  template <class T>
  void put(u64 address, T value) {
    base::store(bytes + (address - kBase), value);
  }
  void put_text(u64 address, std::string_view text) {
    std::memcpy(bytes + (address - kBase), text.data(), text.size());
  }
  // Sets the byte at `check` so that [address, address + length) sums to zero.
  void close(u64 address, u64 length, u64 check) {
    put(check, u8{0});
    u8 sum = 0;
    for (u64 i = 0; i < length; i++) sum = static_cast<u8>(sum + bytes[address - kBase + i]);
    put(check, static_cast<u8>(-sum));
  }
  void table(u64 address, std::string_view signature, u32 length) {
    put_text(address, signature);
    put(address + 4, length);
    close(address, length, address + 9);
  }
  // Puts the root pointer at kBase and a list of the tables at `entries` at `xsdt`.
  void root(u64 xsdt, std::initializer_list<u64> entries) {
    put_text(kBase, "RSD PTR ");
    put(kBase + 15, u8{2});
    put(kBase + 20, u32{36});
    put(kBase + 24, xsdt);
    close(kBase, 20, kBase + 8);
    u64 at = xsdt + 36;
    for (u64 entry : entries) put(at, entry), at += 8;
    table(xsdt, "XSDT", static_cast<u32>(at - xsdt));
  }
  base::BufferView view() const { return {kBase, bytes}; }
};
