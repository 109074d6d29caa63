// SPDX-License-Identifier: GPL-2.0-or-later
// The commands about the machine itself: mem, cpu, threads, dmesg, trace.
#include <charconv>

#include "console/shell/command.h"
#include "console/shell/file_writer.h"
#include "console/terminal/io.h"
#include "kernel/arch_contract.h"
#include "kernel/fs/file_system.h"
#include "kernel/log.h"
#include "kernel/mm/memory.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/worker_pool.h"
#include "kernel/time/clock.h"
#include "kernel/trace.h"

namespace console {
namespace {

std::string_view word(const Arguments& arguments, usize index) {
  return index < arguments.words.size() ? arguments.words[index] : std::string_view();
}

// ---- mem -----------------------------------------------------------------------------------

Result<void> run_mem(const Arguments& arguments, base::Writer& out) {
  std::string_view what = word(arguments, 1);
  if (what == "map") {
    mm::print_ranges(out);
    return {};
  }
  if (what == "check") {
    TRY(mm::verify());
    TRY(mm::verify_heap());
    out.write("every page is accounted for, the heap is intact\n");
    return {};
  }
  if (!what.empty()) return fail(Errc::kInvalidArgument, "mem, mem map or mem check");
  mm::print_usage(out);
  return mm::verify();
}

constexpr Command kMem{"mem",
                       "mem [map|check]",
                       "memory by purpose, to the last byte",
                       run_mem,
                       "Without an argument: bytes by purpose; they add up to the machine's RAM.\n"
                       "map: runs of pages of one purpose, by address.\n"
                       "check: counts every page again and walks the heap.\n",
                       /*panic_safe=*/true};
CONSOLE_COMMAND(kMem);

// ---- cpu -----------------------------------------------------------------------------------

Result<void> run_cpu(const Arguments&, base::Writer& out) {
  CpuFeatures features = arch::Cpu::cpu_features();
  arch::describe_cpu(out);
  base::format_to(out, "cpus: {} present, {} working\nfeatures:", arch::Cpu::cpu_count(),
                  sched::worker_count());
  for (u32 i = 0; i < static_cast<u32>(CpuFeature::kCount); i++)
    if (features.has(static_cast<CpuFeature>(i)))
      base::format_to(out, " {}", cpu_feature_name(static_cast<CpuFeature>(i)));
  base::format_to(out, "\nclock: {} MHz by {}, up {} s\n",
                  base::ratio(timing::ticks_per_second(), 1'000'000, 3),
                  timing::calibration_source(), base::ratio(timing::now_ns(), 1'000'000'000, 3));
  sched::WorkerCounters c = sched::worker_counters();
  base::format_to(out, "workers: {} steps, {} ms at the barrier, {} sleeps, {} stalls\n", c.steps,
                  base::ratio(c.wait_ns, 1'000'000, 3), c.sleeps, c.stalls);
  return {};
}

constexpr Command kCpu{"cpu", "cpu", "processors, their features and the clock", run_cpu};
CONSOLE_COMMAND(kCpu);

// ---- threads, dmesg ------------------------------------------------------------------------

Result<void> run_threads(const Arguments&, base::Writer& out) {
  sched::list(out);
  return {};
}
constexpr Command kThreads{"threads", "threads", "threads, their time and stacks", run_threads};
CONSOLE_COMMAND(kThreads);

Result<void> run_dmesg(const Arguments& arguments, base::Writer& out) {
  u32 count = ~u32{0};
  if (arguments.words.size() > 1) {
    std::string_view text = arguments.words[1];
    auto parsed = std::from_chars(text.data(), text.data() + text.size(), count);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size())
      return fail(Errc::kInvalidArgument, "LINES must be a number");
  }
  log::replay(out, count);
  return {};
}
constexpr Command kDmesg{"dmesg",
                         "dmesg [LINES]",
                         "the kernel's log",
                         run_dmesg,
                         "",
                         /*panic_safe=*/true};
CONSOLE_COMMAND(kDmesg);

// ---- trace ---------------------------------------------------------------------------------

Result<void> dump_to_file(std::string_view path) {
  auto file = TRY(fs::create(path));
  FileWriter writer(*file);
  trace::dump(writer);
  TRY(writer.finish());
  return {};
}

Result<void> run_trace(const Arguments& arguments, base::Writer& out) {
  constexpr u32 kShown = 32;
  std::string_view what = word(arguments, 1);
  if (what.empty()) {
    trace::print(out, kShown);
  } else if (what == "dump") {
    if (arguments.words.size() > 2) return dump_to_file(arguments.words[2]);
    trace::dump(out);
  } else if (what == "boot") {
    trace::boot_chart(out);
  } else if (what == "clear") {
    trace::clear();
  } else if (what == "on" || what == "off") {
    trace::set_enabled(what == "on");
  } else {
    return fail(Errc::kInvalidArgument,
                "trace, trace boot, trace dump [PATH], trace clear, trace on or off");
  }
  return {};
}

constexpr Command kTrace{
    "trace",
    "trace [boot|dump [PATH]|clear|on|off]",
    "recent events of the kernel",
    run_trace,
    "Without an argument: the last events of each CPU.\n"
    "boot: the steps from the first instruction to the prompt, with their times.\n"
    "dump: all of them as JSON for ui.perfetto.dev, to the console or a file.\n",
    /*panic_safe=*/true};
CONSOLE_COMMAND(kTrace);

}  // namespace
}  // namespace console
