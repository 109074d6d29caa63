// SPDX-License-Identifier: GPL-2.0-or-later
// ai::Platform from the kernel's services: pages with a purpose, workers, clock, log.
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
      log::error("memory", "no {} MiB in one run for {}", (bytes + kMiB - 1) / kMiB, purpose);
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
  // Console and network get their turn once a millisecond, not once an operation. A frame wakes one
  // thread after another (driver, card, stack, server): with a turn for each of them an answer
  // would wait for as many pieces of our work, so all go on until they have nothing left to do.
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
  static constexpr u32 kMostTurns = 16;  // of threads that keep each other awake
  u64 last_breath_ns_ = 0;
};

constinit KernelPlatform instance;

}  // namespace

ai::Platform& ai_platform() {
  return instance;
}
