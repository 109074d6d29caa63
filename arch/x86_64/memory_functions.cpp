// SPDX-License-Identifier: GPL-2.0-or-later
// memcpy, memmove and memset, which the compiler and <cstring> expect.
//
// Copies and fills are string instructions. The microcode of every relevant CPU moves whole lines
// with them (Intel SDM vol. 3, 7.1.5 fast-string operation), and TCG eight bytes a step.
#include "kernel/base/types.h"

extern "C" {

void* memcpy(void* to, const void* from, usize bytes) {
  void* result = to;
  usize words = bytes / 8;
  usize rest = bytes % 8;
  asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(rest) : : "memory");
  return result;
}

void* memmove(void* to, const void* from, usize bytes) {
  auto* target = static_cast<Byte*>(to);
  const auto* source = static_cast<const Byte*>(from);
  if (target <= source || target >= source + bytes) return memcpy(to, from, bytes);
  // The areas overlap upwards, so it copies from the end, words first.
  target += bytes;
  source += bytes;
  while (bytes >= 8) {
    target -= 8;
    source -= 8;
    bytes -= 8;
    u64 word;
    __builtin_memcpy(&word, source, 8);
    __builtin_memcpy(target, &word, 8);
  }
  while (bytes > 0) {
    bytes--;
    *--target = *--source;
  }
  return to;
}

void* memset(void* to, int value, usize bytes) {
  void* result = to;
  u64 word = static_cast<u8>(value) * u64{0x0101010101010101};
  usize words = bytes / 8;
  usize rest = bytes % 8;
  asm volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(word) : "memory");
  asm volatile("rep stosb" : "+D"(to), "+c"(rest) : "a"(word) : "memory");
  return result;
}

}  // extern "C"
