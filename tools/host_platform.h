// SPDX-License-Identifier: GPL-2.0-or-later
// ai::Platform for programs on the build machine: tools, and the base of the tests' platform.
#pragma once

#include <memory>

#include "ai/platform.h"

class HostPlatform : public ai::Platform {
 public:
  // One worker runs on the caller; more get a thread each, which sleeps between the steps.
  explicit HostPlatform(u32 workers = 1);
  ~HostPlatform();
  HostPlatform(const HostPlatform&) = delete;
  HostPlatform& operator=(const HostPlatform&) = delete;

  // A block has exactly the size asked for: the address sanitizer sees the first byte beyond it.
  Result<std::span<Byte>> allocate_pages(usize bytes, const char* purpose) override;
  void free_pages(std::span<Byte> pages) override;
  u64 now_ns() override;
  CpuFeatures cpu_features() override;
  u32 worker_count() override { return workers_; }
  void run_on_workers(void (*task)(void* context, u32 worker), void* context) override;
  void breathe() override {}
  void log(ai::LogLevel level, std::string_view text) override;  // a line on stderr

 private:
  struct Threads;
  std::unique_ptr<Threads> threads_;
  u32 workers_;
};

// "warn: ", as log() writes it before a text.
const char* log_level_prefix(ai::LogLevel level);
