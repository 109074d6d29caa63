// SPDX-License-Identifier: GPL-2.0-or-later
// The engine's platform without its log, for questions that may be repeated with more bytes of a
// file.
#pragma once

#include "service/ai_platform.h"

namespace service {

class QuietPlatform final : public ai::Platform {
 public:
  Result<std::span<Byte>> allocate_pages(usize bytes, const char* purpose) override {
    return ai_platform().allocate_pages(bytes, purpose);
  }
  void free_pages(std::span<Byte> pages) override { ai_platform().free_pages(pages); }
  u64 now_ns() override { return ai_platform().now_ns(); }
  CpuFeatures cpu_features() override { return ai_platform().cpu_features(); }
  u32 worker_count() override { return ai_platform().worker_count(); }
  void run_on_workers(void (*task)(void* context, u32 worker), void* context) override {
    ai_platform().run_on_workers(task, context);
  }
  void breathe() override { ai_platform().breathe(); }
  void log(ai::LogLevel, std::string_view) override {}
};

}  // namespace service
