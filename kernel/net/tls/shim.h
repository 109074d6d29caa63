// SPDX-License-Identifier: GPL-2.0-or-later
// The C library and machine functions that wolfSSL needs, under names of our own. shim.cpp
// implements them.
#pragma once

#include <stddef.h>
#include <string.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

void* marrow_tls_allocate(size_t bytes);
void* marrow_tls_resize(void* memory, size_t bytes);
void marrow_tls_free(void* memory);
int marrow_tls_entropy(unsigned char* out, unsigned int bytes);
time_t marrow_tls_time(time_t* out);
struct tm* marrow_tls_gmtime(const time_t* seconds, struct tm* out);
int marrow_tls_lower(int c);
int marrow_tls_upper(int c);
int marrow_tls_compare(const char* a, const char* b, size_t most, int ignore_case);
char* marrow_tls_copy(char* to, const char* from, size_t most);
char* marrow_tls_append(char* to, const char* from, size_t most);
char* marrow_tls_find(const char* text, const char* part, size_t most);
int marrow_tls_number(const char* text);
int marrow_tls_address_text(char* out, size_t bytes, const char* format, ...);

#ifdef __cplusplus
}
#endif

// ---- memory
#define XMALLOC_OVERRIDE
#define XMALLOC(n, heap, type) ((void)(heap), marrow_tls_allocate(n))
#define XREALLOC(p, n, heap, type) ((void)(heap), marrow_tls_resize((p), (n)))
#define XFREE(p, heap, type) ((void)(heap), marrow_tls_free((void*)(p)))

// ---- text
#define STRING_USER
#define CTYPE_USER
#define XMEMCPY(d, s, n) memcpy((d), (s), (n))
#define XMEMSET(d, c, n) memset((d), (c), (n))
#define XMEMCMP(a, b, n) memcmp((a), (b), (n))
#define XMEMMOVE(d, s, n) memmove((d), (s), (n))
#define XSTRLEN(s) strlen(s)
#define XSTRNCPY(d, s, n) marrow_tls_copy((d), (s), (n))
#define XSTRNCAT(d, s, n) marrow_tls_append((d), (s), (n))
#define XSTRSTR(s, part) marrow_tls_find((s), (part), (size_t)-1)
#define XSTRNSTR(s, part, n) marrow_tls_find((s), (part), (n))
#define XSTRCMP(a, b) marrow_tls_compare((a), (b), (size_t)-1, 0)
#define XSTRNCMP(a, b, n) marrow_tls_compare((a), (b), (n), 0)
#define XSTRCASECMP(a, b) marrow_tls_compare((a), (b), (size_t)-1, 1)
#define XSTRNCASECMP(a, b, n) marrow_tls_compare((a), (b), (n), 1)
#define XSNPRINTF(out, n, ...) marrow_tls_address_text((out), (n), __VA_ARGS__)
#define XATOI(s) marrow_tls_number(s)
#define XSTRTOK(s, separators, rest) ((void)(rest), (char*)0)  // lists as text are not used
#define XTOLOWER(c) marrow_tls_lower(c)
#define XTOUPPER(c) marrow_tls_upper(c)

// ---- time and random numbers
#define XTIME(out) marrow_tls_time(out)
#define XGMTIME(seconds, out) marrow_tls_gmtime((seconds), (out))
#define CUSTOM_RAND_GENERATE_SEED marrow_tls_entropy
