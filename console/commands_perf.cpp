// SPDX-License-Identifier: GPL-2.0-or-later
// Commands about speed and state: perf, status.
#include <version.h>

#include "console/command.h"
#include "console/engine_service.h"
#include "console/perf_log.h"
#include "kernel/arch_contract.h"
#include "kernel/mm/memory.h"
#include "kernel/sched/worker_pool.h"
#include "kernel/time/clock.h"
#include "kernel/trace.h"

namespace console {
namespace {

Result<void> run_perf(const Arguments& arguments, base::Writer& out) {
  std::string_view what = arguments.words.size() > 1 ? arguments.words[1] : "";
  if (what == "boot") {
    trace::boot_chart(out);
    return {};
  }
  if (what == "mem") {
    mm::print_usage(out);
    return {};
  }
  if (what == "reset") {
    perf_log().reset();
    return {};
  }
  if (!what.empty()) return fail(Errc::kInvalidArgument, "perf, perf boot, perf mem or perf reset");
  perf_log().print(out);
  EngineService& service = engine_service();
  if (!service.loaded()) return {};
  ai::Engine& engine = service.engine();
  base::format_to(out, "engine\n  kernels       {}, {} threads\n", engine.kernels_name(),
                  sched::worker_count());
  base::format_to(out, "  kv cache      {} of {} pages in use, {} kept for prompts\n",
                  engine.kv_pages_used(), engine.kv_pages_total(), engine.kv_pages_cached());
  return {};
}

void complete_perf(std::string_view, void (*add)(void*, std::string_view), void* context) {
  for (std::string_view word : {"boot", "mem", "reset"}) add(context, word);
}

void write_uptime(base::Writer& out, u64 seconds) {
  u64 days = seconds / 86400, hours = seconds / 3600 % 24, minutes = seconds / 60 % 60;
  if (days > 0) base::format_to(out, "{} d ", days);
  base::format_to(out, "{:02}:{:02}:{:02}", hours, minutes, seconds % 60);
}

Result<void> run_status(const Arguments&, base::Writer& out) {
  base::format_to(out, "version   Marrow {} ({})\nup        ", kMarrowVersion, kMarrowCommit);
  write_uptime(out, timing::now_ns() / 1'000'000'000);
  base::format_to(out, ", clock by {}\n", timing::calibration_source());
  base::format_to(out, "boot      {} ms to the prompt\n", milliseconds(trace::boot_ns()));
  base::format_to(out, "cpus      {} present, {} compute\n", arch::Cpu::cpu_count(),
                  sched::worker_count());
  EngineService& service = engine_service();
  if (!service.loaded()) {
    out.write("model     none is loaded\n");
    return {};
  }
  ai::Engine& engine = service.engine();
  base::format_to(out, "model     {}, {}, context {}\n", engine.info().name,
                  engine.info().quantization, engine.info().context);
  base::format_to(out, "requests  {} running, {} waiting, {} answered\n", engine.running(),
                  engine.queued(), perf_log().answers());
  return {};
}

constexpr Command kPerf{"perf",
                        "perf [boot|mem|reset]",
                        "how fast the answers were",
                        run_perf,
                        "The last answer and the sums since boot. boot: the chart of the boot.\n"
                        "mem: memory by purpose. reset: starts the sums again.",
                        false,
                        complete_perf};
constexpr Command kStatus{"status", "status", "the machine in a few lines", run_status};
CONSOLE_COMMAND(kPerf);
CONSOLE_COMMAND(kStatus);

}  // namespace
}  // namespace console
