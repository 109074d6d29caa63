// SPDX-License-Identifier: GPL-2.0-or-later
// ai::Platform for unit tests: the tools' platform, with pages that are counted and can be refused,
// and a log that is kept.
#pragma once

#include <functional>
#include <string>

#include "tools/host_platform.h"

// Page requests count as allocations of arch/host/memory.h, so host::fail_allocation(n) reaches
// them and host::allocation_count() proves their absence.
class TestPlatform final : public HostPlatform {
 public:
  explicit TestPlatform(u32 workers = 1)
      : HostPlatform(workers), features(HostPlatform::cpu_features()) {}

  Result<std::span<Byte>> allocate_pages(usize bytes, const char* purpose) override;
  void free_pages(std::span<Byte> pages) override;
  u64 now_ns() override;
  CpuFeatures cpu_features() override { return features; }
  void breathe() override {
    breaths++;
    if (on_breathe) on_breathe();
  }
  const void* thread() override { return calling_thread; }
  void log(ai::LogLevel level, std::string_view text) override;

  u64 live_page_bytes() const { return live_page_bytes_; }
  u64 live_page_blocks() const { return live_page_blocks_; }
  bool logged(std::string_view part) const { return log_text.find(part) != std::string::npos; }

  CpuFeatures features;                          // this machine's; a test may take some away
  u64 page_limit = ~u64{0};                      // bytes in pages above which a request is refused
  u64 fixed_step_ns = 0;                         // not 0: a clock that goes on by this much a call
  void pass_ns(u64 ns) { fixed_now_ns_ += ns; }  // on that clock
  u64 breaths = 0;
  std::function<void()> on_breathe;   // what a console would do meanwhile
  const void* calling_thread = this;  // a test may pretend to be another
  bool echo = false;                  // also to stderr
  std::string log_text;               // "warn: …\n" lines

 private:
  u64 live_page_bytes_ = 0, live_page_blocks_ = 0, fixed_now_ns_ = 0;
};
