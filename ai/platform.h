// SPDX-License-Identifier: GPL-2.0-or-later
// The interface through which the engine uses its environment. Implemented by
// service/ai_platform.cpp (kernel and hosted twin) and tools/host_platform.cpp. It is called
// per operation, never per row.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/cpu_features.h"
#include "kernel/base/format.h"
#include "kernel/base/result.h"

namespace ai {

enum class LogLevel : u8 { kError, kWarn, kInfo, kDebug };

class Platform {
 public:
  virtual Result<std::span<Byte>> allocate_pages(usize bytes,
                                                 const char* purpose) = 0;  // 2 MiB aligned, zeroed
  virtual void free_pages(std::span<Byte> pages) = 0;
  virtual u64 now_ns() = 0;
  virtual CpuFeatures cpu_features() = 0;
  virtual u32 worker_count() = 0;
  // Runs task(context, worker) on every worker and returns when all have finished. Worker 0 is the
  // caller.
  virtual void run_on_workers(void (*task)(void* context, u32 worker), void* context) = 0;
  // Lets other threads of CPU 0 run, such as console and network. Called between the parts of a
  // step. Returns soon; state that other threads may change can have changed.
  virtual void breathe() = 0;
  // Names the operation that starts now, for the profiler. `name` is a string literal; null ends
  // the last operation. Called a few times per layer.
  virtual void operation(const char* /*name*/) {}
  // Returns an id of the calling thread, which is only compared: an engine may belong to one
  // thread. A platform with a single thread need not override it.
  virtual const void* thread() { return nullptr; }
  virtual void log(LogLevel level, std::string_view text) = 0;

 protected:
  ~Platform() = default;
};

// Logs a formatted sentence, at the place that knows the facts (a key, a tensor, what was
// expected).
template <class... Args>
void log(Platform& platform, LogLevel level, std::string_view format, const Args&... args) {
  char line[320];
  platform.log(level, base::format_into(line, format, args...));
}

// Splits [0, count) into one run per worker, in multiples of `grain`, and calls body(first, last,
// worker).
template <class Body>
void parallel_ranges(Platform& platform, u32 count, u32 grain, Body&& body) {
  struct Task {
    u32 count, grain, workers;
    Body* body;
  } task{count, grain, platform.worker_count(), &body};
  platform.run_on_workers(
      [](void* context, u32 worker) {
        const Task& t = *static_cast<Task*>(context);
        u64 grains = (t.count + t.grain - 1) / t.grain;
        u32 first = static_cast<u32>(grains * worker / t.workers) * t.grain;
        u32 last = static_cast<u32>(grains * (worker + 1) / t.workers) * t.grain;
        if (last > t.count) last = t.count;
        if (first < last) (*t.body)(first, last, worker);
      },
      &task);
}

}  // namespace ai
