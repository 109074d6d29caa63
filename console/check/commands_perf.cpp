// SPDX-License-Identifier: GPL-2.0-or-later
// The commands about speed and state: perf, status.
#include <version.h>

#include "console/chat/talk.h"
#include "console/check/profile_command.h"
#include "console/shell/command.h"
#include "console/shell/model_use.h"
#include "kernel/arch_contract.h"
#include "kernel/mm/memory.h"
#include "kernel/sched/worker_pool.h"
#include "kernel/time/clock.h"
#include "kernel/trace.h"
#include "service/perf_log.h"
#include "service/streaming.h"

namespace console {
namespace {

constexpr const char* kPerfUsage = "perf [trace|profile [SECONDS]|boot|mem|reset]";

Result<void> run_perf(const Arguments& arguments, base::Writer& out) {
  std::string_view what = arguments.words.size() > 1 ? arguments.words[1] : "";
  if (what == "boot") {
    trace::boot_chart(out);
    return {};
  }
  if (what == "trace") {
    service::perf_log().print_trace(out);
    return {};
  }
  if (what == "profile") {
    constexpr u64 kDefaultSeconds = 5, kMostSeconds = 3600;
    u64 seconds =
        arguments.words.size() > 2 ? TRY(parse_number(arguments.words[2])) : kDefaultSeconds;
    if (seconds > kMostSeconds) return fail(Errc::kOutOfRange, "at most 3600 seconds");
    return profile_engine(seconds, out);
  }
  if (what == "mem") {
    mm::print_usage(out);
    return {};
  }
  if (what == "reset") {
    service::perf_log().reset();
    return {};
  }
  if (!what.empty()) return fail(Errc::kInvalidArgument, kPerfUsage);
  service::perf_log().print(out);
  Result<ai::Lease> model = service::engine_host().lease(service::kConsoleHolder);
  if (!model.has_value()) return {};
  service::EngineHost::Figures figures = service::engine_host().figures(*model);
  base::format_to(out, "engine\n  kernels       {}, {} threads\n", model->kernels_name(),
                  sched::worker_count());
  out.write("  prefetch      ");
  service::print_prefetch(out, service::engine_host().prefetch(*model));
  base::format_to(out, "\n  kv cache      {} of {} pages in use, {} kept for prompts\n",
                  figures.kv_pages_used, figures.kv_pages_total, figures.kv_pages_cached);
  service::print_streaming(out, service::engine_host().file(*model).path.view());
  return {};
}

void complete_perf(std::string_view, void (*add)(void*, std::string_view), void* context) {
  for (std::string_view word : {"boot", "mem", "profile", "reset", "trace"}) add(context, word);
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
  base::format_to(out, "boot      {} ms to the prompt\n", service::milliseconds(trace::boot_ns()));
  base::format_to(out, "cpus      {} present, {} compute\n", arch::Cpu::cpu_count(),
                  sched::worker_count());
  Result<ai::Lease> model = service::engine_host().lease(service::kConsoleHolder);
  if (!model.has_value()) {
    out.write("model     none is loaded\n");
    return {};
  }
  service::EngineHost::Figures figures = service::engine_host().figures(*model);
  base::format_to(out, "model     {}, {}, context {}\n", model->info().name,
                  model->info().quantization, model->info().context);
  const service::DraftState& draft = service::engine_host().draft(*model);
  if (draft.refused != nullptr)
    base::format_to(out, "draft     {} is not used: {}\n", draft.name, draft.refused);
  else if (!draft.name.empty())
    base::format_to(out, "draft     {}, {} MiB\n", draft.name,
                    base::ratio(model->plan().draft_bytes, kMiB, 1));
  base::format_to(out, "requests  {} running, {} waiting, {} answered\n", figures.running,
                  figures.queued, service::perf_log().answers());
  return {};
}

constexpr Command kPerf{
    "perf",
    kPerfUsage,
    "speed of the answers",
    run_perf,
    "Without an argument: the last answer, and totals since boot.\n"
    "trace: the events of the last answer as CSV; every figure is computed from them.\n"
    "profile: generates for SECONDS (5) and prints the time of each operation.\n"
    "boot: the timeline of the boot. mem: memory by purpose. reset: clears the totals.",
    false,
    complete_perf};
constexpr Command kStatus{"status", "status", "the machine in a few lines", run_status};
CONSOLE_COMMAND(kPerf);
CONSOLE_COMMAND(kStatus);

}  // namespace
}  // namespace console
