// SPDX-License-Identifier: GPL-2.0-or-later
// The C memory and string functions that the compiler and <cstring> expect.
//
// Copies and fills are string instructions. The microcode of every relevant CPU moves whole lines
// with them (Intel SDM vol. 3, 7.1.5 fast-string operation), and TCG eight bytes a step.
#include "kernel/base/types.h"

namespace {
// The loops below must stay loops: gcc would recognize them and call the very function they define.
#define NO_IDIOM [[gnu::optimize("no-tree-loop-distribute-patterns")]]
}  // namespace

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

NO_IDIOM int memcmp(const void* a, const void* b, usize bytes) {
  const auto* left = static_cast<const Byte*>(a);
  const auto* right = static_cast<const Byte*>(b);
  usize i = 0;
  for (; i + 8 <= bytes; i += 8) {
    u64 x;
    u64 y;
    __builtin_memcpy(&x, left + i, 8);
    __builtin_memcpy(&y, right + i, 8);
    if (x != y) break;
  }
  for (; i < bytes; i++)
    if (left[i] != right[i]) return left[i] < right[i] ? -1 : 1;
  return 0;
}

NO_IDIOM usize strlen(const char* text) {
  usize length = 0;
  while (text[length] != 0) length++;
  return length;
}

NO_IDIOM int strcmp(const char* a, const char* b) {
  while (*a != 0 && *a == *b) {
    a++;
    b++;
  }
  return static_cast<unsigned char>(*a) - static_cast<unsigned char>(*b);
}

NO_IDIOM int strncmp(const char* a, const char* b, usize bytes) {
  for (; bytes > 0; bytes--, a++, b++) {
    if (*a != *b) return static_cast<unsigned char>(*a) - static_cast<unsigned char>(*b);
    if (*a == 0) return 0;
  }
  return 0;
}

NO_IDIOM void* memchr(const void* memory, int value, usize bytes) {
  const auto* at = static_cast<const Byte*>(memory);
  for (usize i = 0; i < bytes; i++)
    if (at[i] == static_cast<Byte>(value)) return const_cast<Byte*>(at + i);
  return nullptr;
}

NO_IDIOM char* strchr(const char* text, int value) {
  for (;; text++) {
    if (*text == static_cast<char>(value)) return const_cast<char*>(text);
    if (*text == 0) return nullptr;
  }
}

}  // extern "C"
