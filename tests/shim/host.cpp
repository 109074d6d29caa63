// SPDX-License-Identifier: GPL-2.0-or-later
// Implements what the shim needs from Marrow in a process: cooperative threads by one big lock, and
// real time.
#include "drivers/linux/host.h"

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>
#include <unordered_map>

#include <time.h>

namespace {

// Never destroyed: the shim's threads sleep on when main returns.
auto& baton = *new std::mutex;  // held by the one thread that runs
auto& changed = *new std::condition_variable_any;
auto& wakes = *new std::unordered_map<const void*, unsigned long>;  // by channel, since the start
auto& seen = *new std::unordered_map<const void*, unsigned long>;   // at the end of the last wait
int failures = 0;

}  // namespace

extern "C" {

int shim_test_run(void);
void shim_test_failed(const char* text, int line) {
  failures++;
  std::printf("not ok - line %d: %s\n", line, text);
}

// A machine without memory below 4 GiB, and with little above.
void* shim_host_arena(unsigned long bytes, int anywhere) {
  if (anywhere == 0 || bytes > 16u << 20) return nullptr;
  void* memory = std::aligned_alloc(1 << 21, bytes);
  std::memset(memory, 0xcc, bytes);
  return memory;
}
void* shim_host_map_device(unsigned long, unsigned long, int) {
  return nullptr;
}
void* shim_host_memcpy(void* to, const void* from, unsigned long bytes) {
  return std::memcpy(to, from, bytes);
}
void* shim_host_memmove(void* to, const void* from, unsigned long bytes) {
  return std::memmove(to, from, bytes);
}
unsigned long shim_host_ns(void) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<unsigned long>(now.tv_sec) * 1'000'000'000 +
         static_cast<unsigned long>(now.tv_nsec);
}
unsigned long shim_host_unix_ns(void) {
  return 1'800'000'000'123'456'789;
}
void shim_host_delay_ns(unsigned long ns) {
  for (unsigned long end = shim_host_ns() + ns; shim_host_ns() < end;) {
  }
}
void shim_host_random(void* out, unsigned long bytes) {
  std::memset(out, 4, bytes);
}
void shim_host_add_entropy(const void*, unsigned long, unsigned long) {}
void shim_host_log(int, const char* text) {
  std::printf("%s\n", text);
}
void shim_host_fatal(const char* symbol) {
  std::printf("not ok - the shim called %s\n", symbol);
  std::abort();
}
int shim_host_spawn(const char*, void (*entry)(void*), void* argument) {
  std::thread([=] {
    std::scoped_lock lock(baton);
    entry(argument);
  }).detach();
  return 0;
}
void shim_host_wait(const void* channel, unsigned long deadline_ns) {
  constexpr unsigned long kSlice = 1'000'000'000;
  unsigned long before = seen[channel];  // a wake since the last wait ends this one at once
  while (channel == nullptr || wakes[channel] == before) {
    unsigned long now = shim_host_ns();
    if (now >= deadline_ns) return;
    changed.wait_for(baton, std::chrono::nanoseconds(std::min(deadline_ns - now, kSlice)));
    if (channel != nullptr && wakes[channel] != before) break;
  }
  seen[channel] = wakes[channel];
}
void shim_host_wake(const void* channel) {
  wakes[channel]++;
  changed.notify_all();
}
void shim_host_wake_interfaces(void) {}
int shim_host_checks_locks(void) {
  return 1;
}
int shim_host_in_interrupt(void) {
  return 0;
}
void shim_host_devices_changed(void) {}

}  // extern "C"

int main() {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::scoped_lock lock(baton);
  int count = shim_test_run();
  std::printf("%d passed, %d failed\n", count, failures);
  std::fflush(stdout);
  std::_Exit(failures != 0 ? 1 : 0);  // threads of the shim sleep for ever: nothing joins them
}
