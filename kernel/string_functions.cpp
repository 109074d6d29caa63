// SPDX-License-Identifier: GPL-2.0-or-later
// The C string functions, and memcmp, that the compiler and <cstring> expect. What moves or fills
// memory is the architecture's.
#include "kernel/base/types.h"

namespace {
// Loops below must stay loops: gcc would recognize them and call the very function they define.
#define NO_IDIOM [[gnu::optimize("no-tree-loop-distribute-patterns")]]
}  // namespace

extern "C" {

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
