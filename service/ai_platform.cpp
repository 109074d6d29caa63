// SPDX-License-Identifier: GPL-2.0-or-later
// Implements ai::Platform with the kernel's services: pages with a purpose, the worker pool, the
// clock and the log.
#include "service/ai_platform.h"

#include "kernel/arch_contract.h"
#include "kernel/log.h"
#include "kernel/mm/memory.h"
#include "kernel/profile.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/worker_pool.h"
#include "kernel/time/clock.h"

namespace {

class KernelPlatform final : public ai::Platform {
 public:
  Result<std::span<Byte>> allocate_pages(usize bytes, const char* purpose) override {
    auto pages =
        mm::allocate_pages({.bytes = bytes,
                            .purpose = mm::purpose_from_name(purpose, mm::Purpose::kEngine),
                            .align = mm::kLargePageBytes,
                            .pause = [] { ai_platform().breathe(); }});
    if (!pages.has_value()) {
      log::error("memory",
                 "no {} MiB of contiguous memory for {}: unload a model or give the machine more",
                 (bytes + kMiB - 1) / kMiB, purpose);
      return pages;
    }
    return pages->first(bytes);
  }
  void free_pages(std::span<Byte> pages) override {
    if (pages.data() == nullptr) return;
    usize whole = (pages.size() + mm::kPageBytes - 1) / mm::kPageBytes * mm::kPageBytes;
    mm::free_pages({pages.data(), whole});
  }
  u64 now_ns() override { return timing::now_ns(); }
  CpuFeatures cpu_features() override { return arch::Cpu::cpu_features(); }
  u32 worker_count() override { return sched::worker_count(); }
  void run_on_workers(void (*task)(void* context, u32 worker), void* context) override {
    sched::run_on_workers(task, context);
  }
  // Yields at most once a millisecond, not after every operation. A network frame wakes several
  // threads in turn (driver, card, stack, server). With one yield for each of them an answer would
  // wait for as many pieces of the engine's work, so this yields until no other thread can run.
  void breathe() override {
    u64 now = timing::now_ns();
    if (now - last_breath_ns_ < kBreathNs) return;
    sched::yield();
    for (u32 i = 1; i < kMostTurns && sched::others_runnable(); i++) sched::yield();
    last_breath_ns_ = timing::now_ns();
  }
  const void* thread() override { return sched::current(); }
  void operation(const char* name) override { profile::enter(name); }
  void log(ai::LogLevel level, std::string_view text) override {
    constexpr log::Level kLevels[] = {log::Level::kError, log::Level::kWarn, log::Level::kInfo,
                                      log::Level::kDebug};
    const base::FormatArg argument(text);
    log::write(kLevels[static_cast<u32>(level)], "ai", "{}", {&argument, 1});
  }

 private:
  static constexpr u64 kBreathNs = 1'000'000;
  static constexpr u32 kMostTurns = 16;  // bounds two threads that keep waking each other
  u64 last_breath_ns_ = 0;
};

constinit KernelPlatform instance;

}  // namespace

ai::Platform& ai_platform() {
  return instance;
}
