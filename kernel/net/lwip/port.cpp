// SPDX-License-Identifier: GPL-2.0-or-later
// Implements lwIP's port: monotonic time, a bounded heap of network pages, keyed random numbers.
#include "kernel/net/lwip/port.h"

#include <lwip/sys.h>
#include <lwip/tcp.h>
#include <lwip_hooks.h>

#include <cstring>
#include <string_view>

#include "kernel/base/result.h"
#include "kernel/crypto/sha256.h"
#include "kernel/mm/heap.h"
#include "kernel/time/clock.h"

namespace net::port {
namespace {

// A whole window: bytes that do not fit are dropped, and the peer has to notice that. Less while
// packets use more than half of their memory.
constexpr u32 kMostWaiting = TCP_WND, kMostWaitingWhenShort = 16 * 1024;

constinit Config config{};
constinit mm::Heap heap;
constinit u64 taken = 0;
constinit u64 random_counter = 0;

std::span<Byte> take_pages(void*, usize bytes) {
  if (taken + bytes > config.memory_bytes) return {};
  Result<std::span<Byte>> pages =
      mm::allocate_pages({.bytes = bytes, .purpose = mm::Purpose::kNetwork, .zeroed = false});
  if (!pages.has_value()) return {};
  taken += pages->size();
  return *pages;
}

void give_pages_back(void*, std::span<Byte> pages) {
  taken -= pages.size();
  mm::free_pages(pages);
}

void* allocate_in_heap(usize bytes) {
  return heap.allocate(bytes, MEM_ALIGNMENT);
}
void free_in_heap(void* memory) {
  heap.deallocate(memory);
}

// Computes SHA-256 of the seed and the added values.
class Keyed {
 public:
  Keyed() { add(config.seed); }
  template <class T>
  void add(const T& value) {
    hash_.update({reinterpret_cast<const Byte*>(&value), sizeof value});
  }
  u32 word() {
    crypto::Sha256Digest digest = hash_.finish();
    u32 out = 0;
    std::memcpy(&out, digest.data(), sizeof out);
    return out;
  }

 private:
  crypto::Sha256 hash_;
};

void add_address(Keyed& hash, const ip_addr_t& address) {
  if (IP_IS_V6_VAL(address)) {
    for (u32 part : ip_2_ip6(&address)->addr) hash.add(part);
  } else {
    hash.add(ip_2_ip4(&address)->addr);
  }
}

}  // namespace

void init(const Config& chosen) {
  config = chosen;
  if (config.now_ns == nullptr) config.now_ns = timing::now_ns;
  if (config.memory.allocate != nullptr) return;
  config.memory = {allocate_in_heap, free_in_heap};
  heap.init({take_pages, give_pages_back, nullptr}, mm::Heap::RedZones::kNo);
}

u64 now_ns() {
  return config.now_ns();
}

u64 memory_taken() {
  return taken;
}

}  // namespace net::port

using net::port::config;

extern "C" {

u32_t sys_now() {
  return static_cast<u32_t>(config.now_ns() / 1'000'000);
}

u32_t marrow_lwip_random() {
  net::port::Keyed hash;
  hash.add(++net::port::random_counter);
  hash.add(config.now_ns());
  return hash.word();
}

void marrow_lwip_assert(const char* text, const char* file, int line) {
  assertion_failed(text, file, line);
}

char* marrow_lwip_find(const char* text, const char* part) {
  usize at = std::string_view(text).find(part);
  return at == std::string_view::npos ? nullptr : const_cast<char*>(text) + at;
}

void* marrow_lwip_allocate(usize bytes) {
  return config.memory.allocate(bytes);
}

void* marrow_lwip_allocate_cleared(usize count, usize bytes) {
  usize total = 0;
  if (__builtin_mul_overflow(count, bytes, &total)) return nullptr;
  void* memory = config.memory.allocate(total);
  if (memory != nullptr) std::memset(memory, 0, total);
  return memory;
}

void marrow_lwip_free(void* memory) {
  config.memory.free(memory);
}

// The time server must only return our clock's value unchanged. Until the time is known it is a
// random number, so that nobody who does not see our packets can forge a reply.
void marrow_lwip_get_time(u32_t* unix_seconds, u32_t* microseconds) {
  *unix_seconds = marrow_lwip_random();
  *microseconds = marrow_lwip_random() % 1'000'000;
}

// RFC 6528: a clock with ticks of 4 microseconds plus a keyed hash of the connection.
u32_t marrow_lwip_initial_sequence(const ip_addr_t* local, u16_t local_port,
                                   const ip_addr_t* remote, u16_t remote_port) {
  net::port::Keyed hash;
  net::port::add_address(hash, *local);
  net::port::add_address(hash, *remote);
  hash.add(local_port);
  hash.add(remote_port);
  return hash.word() + static_cast<u32_t>(config.now_ns() / 4000);
}

u32_t marrow_lwip_most_waiting() {
  bool is_short = net::port::memory_taken() > config.memory_bytes / 2;
  return is_short ? net::port::kMostWaitingWhenShort : net::port::kMostWaiting;
}

// Sends packets with one of this machine's addresses by the interface that has the address.
netif* marrow_lwip_route(const ip4_addr_t* source, const ip4_addr_t*) {
  if (source == nullptr || ip4_addr_isany(source)) return nullptr;
  netif* card = nullptr;
  NETIF_FOREACH(card) {
    if (netif_is_up(card) && netif_is_link_up(card) && ip4_addr_cmp(source, netif_ip4_addr(card)))
      return card;
  }
  return nullptr;
}

}  // extern "C"
