// SPDX-License-Identifier: GPL-2.0-or-later
// ai::Platform for unit tests: threads on demand, pages counted and refusable, the log kept.
#include "tests/hosted/test_platform.h"

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <mutex>
#include <thread>
#include <vector>

#include "arch/host/memory.h"
#include "kernel/base/test.h"

struct TestPlatform::Threads {
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

TestPlatform::TestPlatform(u32 workers) : features(host_cpu_features()), workers_(workers) {
  if (workers == 1) return;
  threads_ = std::make_unique<Threads>();
  for (u32 w = 1; w < workers; w++) threads_->threads.emplace_back([this, w] { threads_->run(w); });
}

TestPlatform::~TestPlatform() {
  if (threads_ == nullptr) return;
  {
    std::lock_guard lock(threads_->mutex);
    threads_->stop = true;
  }
  threads_->wake.notify_all();
  for (std::thread& t : threads_->threads) t.join();
}

Result<std::span<Byte>> TestPlatform::allocate_pages(usize bytes, const char* purpose) {
  if (!host::allocation_may_succeed() || bytes > page_limit ||
      live_page_bytes_ > page_limit - bytes) {
    ai::log(*this, ai::LogLevel::kError, "no {} bytes of pages for {}", bytes, purpose);
    return fail(Errc::kOutOfMemory, "out of pages");
  }
  void* memory = nullptr;
  if (posix_memalign(&memory, 2 * kMiB, bytes == 0 ? 1 : bytes) != 0)
    return fail(Errc::kOutOfMemory, "out of pages");
  std::memset(memory, 0, bytes);
  live_page_bytes_ += bytes;
  live_page_blocks_++;
  return std::span<Byte>(static_cast<Byte*>(memory), bytes);
}

void TestPlatform::free_pages(std::span<Byte> pages) {
  if (pages.data() == nullptr) return;
  ASSERT(live_page_bytes_ >= pages.size() && live_page_blocks_ > 0);
  live_page_bytes_ -= pages.size();
  live_page_blocks_--;
  std::free(pages.data());
}

u64 TestPlatform::now_ns() {
  if (fixed_step_ns != 0) return fixed_now_ns_ += fixed_step_ns;
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
}

void TestPlatform::run_on_workers(void (*task)(void* context, u32 worker), void* context) {
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

void TestPlatform::log(ai::LogLevel level, std::string_view text) {
  static constexpr const char* kNames[] = {"error: ", "warn: ", "info: ", "debug: "};
  log_text += kNames[static_cast<u32>(level)];
  log_text += text;
  log_text += '\n';
  if (echo)
    std::fprintf(stderr, "# %s%.*s\n", kNames[static_cast<u32>(level)],
                 static_cast<int>(text.size()), text.data());
}

CpuFeatures host_cpu_features() {
  CpuFeatures f;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("ssse3")) f = f.with(CpuFeature::kSsse3);
  if (__builtin_cpu_supports("sse4.1")) f = f.with(CpuFeature::kSse41);
  if (__builtin_cpu_supports("avx2")) f = f.with(CpuFeature::kAvx2);
  if (__builtin_cpu_supports("f16c")) f = f.with(CpuFeature::kF16c);
  if (__builtin_cpu_supports("avxvnni")) f = f.with(CpuFeature::kAvxVnni);
  bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (avx512) f = f.with(CpuFeature::kAvx512);
  if (avx512 && __builtin_cpu_supports("avx512vnni")) f = f.with(CpuFeature::kAvx512Vnni);
  if (avx512 && __builtin_cpu_supports("avx512vbmi")) f = f.with(CpuFeature::kAvx512Vbmi);
#elif defined(__aarch64__)
  f = f.with(CpuFeature::kNeon);
#endif
  return f;
}

TEST(platform, ranges_cover_every_item_once) {
  for (u32 workers : {1u, 2u, 3u}) {
    TestPlatform platform(workers);
    for (u32 count : {0u, 1u, 15u, 16u, 17u, 100u}) {
      std::vector<u32> seen(count, 0);
      ai::parallel_ranges(platform, count, 16, [&](u32 first, u32 last, u32) {
        for (u32 i = first; i < last; i++) seen[i]++;
      });
      for (u32 n : seen) EXPECT_EQ(n, 1u);
    }
  }
}

TEST(platform, pages_are_aligned_zeroed_counted_and_refusable) {
  TestPlatform platform;
  platform.page_limit = 3 * kMiB;
  auto pages = platform.allocate_pages(1000, "a test");
  REQUIRE(pages.has_value());
  EXPECT_EQ(reinterpret_cast<u64>(pages->data()) % (2 * kMiB), 0u);
  for (Byte b : *pages) EXPECT_EQ(b, 0);
  EXPECT_EQ(platform.live_page_bytes(), 1000u);
  EXPECT(!platform.allocate_pages(3 * kMiB, "too much").has_value());
  EXPECT(platform.logged("3145728 bytes of pages for too much"));
  host::fail_allocation(1);
  EXPECT(!platform.allocate_pages(1, "an injected failure").has_value());
  host::fail_allocation(0);
  platform.free_pages(*pages);
  EXPECT_EQ(platform.live_page_bytes(), 0u);
  EXPECT_EQ(platform.live_page_blocks(), 0u);
}
