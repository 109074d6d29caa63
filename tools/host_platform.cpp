// SPDX-License-Identifier: GPL-2.0-or-later
// The engine's platform as a process gives it: threads, the C library's memory, stderr.
#include "tools/host_platform.h"

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <mutex>
#include <thread>
#include <vector>

#include "kernel/arch_contract.h"

struct HostPlatform::Threads {
  std::mutex mutex;
  std::condition_variable wake, idle;
  std::vector<std::thread> threads;
  void (*task)(void*, u32) = nullptr;
  void* context = nullptr;
  u64 generation = 0;
  u32 pending = 0;
  bool stop = false;

  void run(u32 worker) {
    u64 seen = 0;
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [&] { return stop || generation != seen; });
      if (stop) return;
      seen = generation;
      lock.unlock();
      task(context, worker);
      lock.lock();
      if (--pending == 0) idle.notify_one();
    }
  }
};

HostPlatform::HostPlatform(u32 workers) : workers_(workers) {
  if (workers == 1) return;
  threads_ = std::make_unique<Threads>();
  for (u32 w = 1; w < workers; w++) threads_->threads.emplace_back([this, w] { threads_->run(w); });
}

HostPlatform::~HostPlatform() {
  if (threads_ == nullptr) return;
  {
    std::lock_guard lock(threads_->mutex);
    threads_->stop = true;
  }
  threads_->wake.notify_all();
  for (std::thread& t : threads_->threads) t.join();
}

Result<std::span<Byte>> HostPlatform::allocate_pages(usize bytes, const char* purpose) {
  void* memory = nullptr;
  if (posix_memalign(&memory, 2 * kMiB, bytes == 0 ? 1 : bytes) != 0) {
    ai::log(*this, ai::LogLevel::kError, "no {} bytes of pages for {}", bytes, purpose);
    return fail(Errc::kOutOfMemory, "out of pages");
  }
  std::memset(memory, 0, bytes);
  return std::span<Byte>(static_cast<Byte*>(memory), bytes);
}

void HostPlatform::free_pages(std::span<Byte> pages) {
  std::free(pages.data());
}

u64 HostPlatform::now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
}

CpuFeatures HostPlatform::cpu_features() {
  return arch::Cpu::cpu_features();
}

void HostPlatform::run_on_workers(void (*task)(void* context, u32 worker), void* context) {
  if (threads_ == nullptr) {
    // More than one worker without threads cannot be: tasks may wait for each other.
    task(context, 0);
    return;
  }
  {
    std::lock_guard lock(threads_->mutex);
    threads_->task = task;
    threads_->context = context;
    threads_->pending = workers_ - 1;
    threads_->generation++;
  }
  threads_->wake.notify_all();
  task(context, 0);
  std::unique_lock lock(threads_->mutex);
  threads_->idle.wait(lock, [&] { return threads_->pending == 0; });
}

void HostPlatform::log(ai::LogLevel level, std::string_view text) {
  std::fprintf(stderr, "# %s%.*s\n", log_level_prefix(level), static_cast<int>(text.size()),
               text.data());
}

const char* log_level_prefix(ai::LogLevel level) {
  static constexpr const char* kNames[] = {"error: ", "warn: ", "info: ", "debug: "};
  return kNames[static_cast<u32>(level)];
}
