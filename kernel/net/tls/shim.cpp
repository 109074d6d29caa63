// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the small C library that wolfSSL needs.
#include "kernel/net/tls/shim.h"

#include <algorithm>
#include <cstdarg>

#include "kernel/base/format.h"
#include "kernel/base/memory.h"
#include "kernel/base/wipe.h"
#include "kernel/crypto/entropy.h"
#include "kernel/net/tls/ledger.h"
#include "kernel/time/wall_clock.h"

namespace net::tls {

// Precedes each block of memory. Growing needs the size, and freeing wipes the block, which may
// hold a key.
struct MemoryHeader {
  usize bytes;
  MemoryHeader* next;   // next block of the same ledger
  MemoryHeader** link;  // the pointer to this header; null: no ledger has it
  usize padding;
};
static_assert(sizeof(MemoryHeader) % alignof(std::max_align_t) == 0);

namespace {

constinit Ledger* in_use = nullptr;

void enter(MemoryHeader& header, Ledger* ledger) {
  header.next = nullptr;
  header.link = nullptr;
  if (ledger == nullptr) return;
  header.next = ledger->first;
  header.link = &ledger->first;
  if (header.next != nullptr) header.next->link = &header.next;
  ledger->first = &header;
}

void leave(MemoryHeader& header) {
  if (header.link == nullptr) return;
  *header.link = header.next;
  if (header.next != nullptr) header.next->link = header.link;
}

}  // namespace

Ledger::~Ledger() {
  while (first != nullptr) marrow_tls_free(first + 1);
}

Ledger::Use::Use(Ledger& ledger) : before_(in_use) {
  in_use = &ledger;
}

Ledger::Use::~Use() {
  in_use = before_;
}

}  // namespace net::tls

using net::tls::enter, net::tls::leave, net::tls::MemoryHeader;

extern "C" {

void* marrow_tls_allocate(size_t bytes) {
  usize total = 0;
  if (__builtin_add_overflow(bytes, sizeof(MemoryHeader), &total)) return nullptr;
  auto* header = static_cast<MemoryHeader*>(base::allocate(total));
  if (header == nullptr) return nullptr;
  header->bytes = bytes;
  enter(*header, net::tls::in_use);
  return header + 1;
}

void marrow_tls_free(void* memory) {
  if (memory == nullptr) return;
  MemoryHeader* header = static_cast<MemoryHeader*>(memory) - 1;
  leave(*header);
  base::wipe(memory, header->bytes);
  base::deallocate(header);
}

void* marrow_tls_resize(void* memory, size_t bytes) {
  void* fresh = marrow_tls_allocate(bytes);
  if (fresh == nullptr || memory == nullptr) return fresh;
  std::memcpy(fresh, memory, std::min(bytes, (static_cast<MemoryHeader*>(memory) - 1)->bytes));
  marrow_tls_free(memory);
  return fresh;
}

// Seeds wolfSSL's generator (SP 800-90A Hash_DRBG). Any result but 0 stops it.
int marrow_tls_entropy(unsigned char* out, unsigned int bytes) {
  return crypto::entropy({out, bytes}).has_value() ? 0 : -1;
}

time_t marrow_tls_time(time_t* out) {
  auto now = static_cast<time_t>(timing::unix_ns() / 1'000'000'000);
  if (out != nullptr) *out = now;
  return now;
}

// wolfSSL compares the dates of certificates with it, and gives no room for the result. As in C,
// the next call replaces it; nothing yields in between.
struct tm* marrow_tls_gmtime(const time_t* seconds, struct tm*) {
  static constinit struct tm result{};
  timing::UtcTime utc = timing::utc_of(static_cast<u64>(*seconds));
  result.tm_year = static_cast<int>(utc.year) - 1900;
  result.tm_mon = static_cast<int>(utc.month) - 1;
  result.tm_mday = static_cast<int>(utc.day);
  result.tm_hour = static_cast<int>(utc.hour);
  result.tm_min = static_cast<int>(utc.minute);
  result.tm_sec = static_cast<int>(utc.second);
  return &result;
}

int marrow_tls_lower(int c) {
  return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

int marrow_tls_upper(int c) {
  return c >= 'a' && c <= 'z' ? c - ('a' - 'A') : c;
}

int marrow_tls_compare(const char* a, const char* b, size_t most, int ignore_case) {
  for (usize i = 0; i < most; i++) {
    int x = static_cast<unsigned char>(a[i]), y = static_cast<unsigned char>(b[i]);
    if (ignore_case != 0) x = marrow_tls_lower(x), y = marrow_tls_lower(y);
    if (x != y || x == 0) return x - y;
  }
  return 0;
}

// Like C's strncpy: fills the rest with zeros, and does not terminate a text that just fits.
char* marrow_tls_copy(char* to, const char* from, size_t most) {
  usize i = 0;
  for (; i < most && from[i] != '\0'; i++) to[i] = from[i];
  for (; i < most; i++) to[i] = '\0';
  return to;
}

char* marrow_tls_append(char* to, const char* from, size_t most) {
  usize at = std::strlen(to), i = 0;
  for (; i < most && from[i] != '\0'; i++) to[at + i] = from[i];
  to[at + i] = '\0';
  return to;
}

// Finds `part` within the first `most` characters of `text`. Returns null if it is not there.
char* marrow_tls_find(const char* text, const char* part, size_t most) {
  usize size = std::strlen(part);
  for (usize i = 0; size <= most && i <= most - size; i++) {
    if (marrow_tls_compare(text + i, part, size, 0) == 0) return const_cast<char*>(text) + i;
    if (text[i] == '\0') break;
  }
  return nullptr;
}

int marrow_tls_number(const char* text) {
  int value = 0;
  for (; *text >= '0' && *text <= '9' && value < 100'000'000; text++)
    value = value * 10 + (*text - '0');
  return value;
}

// Writes an address of a certificate as tls::Client compares it with that of the server. An IPv4
// address gets colons: no DNS name of a certificate, which may have a wildcard, equals it then. All
// other texts that wolfSSL would write are read by nobody, and are empty.
int marrow_tls_address_text(char* out, size_t bytes, const char* format, ...) {
  constexpr std::string_view kIpv4 = "%u.%u.%u.%u", kIpv6 = "%02X%02X%s";
  base::BufferWriter text(std::span(out, bytes > 0 ? bytes - 1 : 0));
  va_list values;
  va_start(values, format);
  if (format == kIpv4) {
    for (u32 i = 0; i < 4; i++)
      base::format_to(text, "{}{}", i == 0 ? "" : ":", va_arg(values, unsigned));
  } else if (format == kIpv6) {
    for (u32 i = 0; i < 2; i++) base::format_to(text, "{:02x}", va_arg(values, unsigned));
    text.write(va_arg(values, const char*));
  }
  va_end(values);
  if (bytes > 0) out[text.view().size()] = '\0';
  return static_cast<int>(text.view().size());
}

}  // extern "C"
