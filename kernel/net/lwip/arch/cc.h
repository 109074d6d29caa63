// SPDX-License-Identifier: GPL-2.0-or-later
// The compiler and kernel environment that lwIP needs. The functions are in port.cpp and ntp.cpp.
#pragma once

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>  // ssize_t: otherwise lwIP declares its own, as int

#ifdef __cplusplus
extern "C" {
#endif
uint32_t marrow_lwip_random(void);
void marrow_lwip_assert(const char* text, const char* file, int line) __attribute__((noreturn));
char* marrow_lwip_find(const char* text, const char* part);
void* marrow_lwip_allocate(size_t bytes);
void* marrow_lwip_allocate_cleared(size_t count, size_t bytes);
void marrow_lwip_free(void* memory);
void marrow_lwip_set_time(uint32_t unix_seconds, uint32_t microseconds);
extern uint32_t marrow_lwip_time_delay_ms;  // time until the time server is asked again
void marrow_lwip_get_time(uint32_t* unix_seconds, uint32_t* microseconds);
#ifdef __cplusplus
}
#endif

// From libc, lwIP gets only the types, memory functions, and lengths and comparisons of strings.
#define strstr marrow_lwip_find
#define LWIP_NO_CTYPE_H 1
#define LWIP_NO_UNISTD_H 1
#ifndef SSIZE_MAX
#define SSIZE_MAX LONG_MAX
#endif

#define LWIP_PLATFORM_DIAG(arguments) ((void)0)
#define LWIP_PLATFORM_ASSERT(text) marrow_lwip_assert(text, __FILE__, __LINE__)
#define LWIP_RAND() marrow_lwip_random()
#define LWIP_CHKSUM_ALGORITHM 3  // 32 bits at a time
