// SPDX-License-Identifier: GPL-2.0-or-later
// The boot order on one page, from where the architecture hands over to the prompt. It is the same
// for the machine and its hosted twin.
#include "kernel/main.h"

#include "console/shell/shell.h"
#include "kernel/arch_contract.h"
#include "kernel/dev/probe.h"
#include "kernel/fs/disks.h"
#include "kernel/fs/module_fs.h"
#include "kernel/log.h"
#include "kernel/mm/memory.h"
#include "kernel/net/start.h"
#include "kernel/options.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/worker_pool.h"
#include "kernel/time/clock.h"
#include "kernel/trace.h"
#include "kernel/trial.h"

namespace {

constexpr Option kThreads{"threads", OptionKind::kNumber, "0", "0..256",
                          "CPUs that compute; 0 = all of them"};
KERNEL_OPTION(kThreads);
constexpr Option kLog{"log", OptionKind::kChoice, "warn", "error|warn|info|debug",
                      "lowest level of log lines that the console shows"};
KERNEL_OPTION(kLog);
constexpr Option kWatchdog{"watchdog", OptionKind::kNumber, "5", "0..3600",
                           "seconds after which a stuck cpu is reported; 0 = never"};
KERNEL_OPTION(kWatchdog);

constexpr const char* kConfigurationFile = "/boot/marrow.cfg";

void read_configuration() {
  auto text = fs::read_text(kConfigurationFile, 64 * kKiB);
  if (text.has_value()) return options::parse_file(text->view());
  if (text.error().code != Errc::kNotFound)
    log::warn("options", "{}: {}", kConfigurationFile, text.error());
}

void apply_log_option() {
  constexpr std::string_view kNames[] = {"error", "warn", "info", "debug"};
  for (u32 level = 0; level < std::size(kNames); level++)
    if (options::text(kLog) == kNames[level]) log::set_echo(static_cast<log::Level>(level));
}

}  // namespace

void kernel_main(BootInfo& boot) {
  devices::start_console(boot);  // from here on every failure is visible
  trial::look_at(boot.command_line);
  arch::init_boot_cpu(boot);  // traps and the final page tables: a fault is a report
  trial::read_record(boot);   // how a kernel ended that was tried before
  trace::boot_mark("cpu");
  options::parse_command_line(boot.command_line);
  apply_log_option();
  mm::init(boot);  // pages and heap: allocation works
  trace::boot_mark("memory");
  arch::init_platform(boot);  // firmware tables, interrupt controllers, the list of CPUs
  trace::boot_mark("platform");
  timing::init(boot.entry_ticks);  // the clock
  // From here on a hang of a new kernel ends.
  trial::start({sched::heartbeat, sched::idle});
  trace::boot_mark("clock");
  sched::init();  // threads
  arch::Cpu::restore_interrupts(true);
  trace::init();
  MUST(fs::mount_modules(boot));  // the loader's files, under /boot
  read_configuration();
  apply_log_option();
  trace::boot_mark("files");
  trial::read_limit();
  sched::set_stall_limit(options::number(kWatchdog) * 1'000'000'000);
  sched::start_workers(static_cast<u32>(options::number(kThreads)));  // one worker per CPU
  trace::boot_mark("workers");
  devices::probe_all(boot);  // screen, keyboard, buses, disks, cards
  MUST(fs::watch_disks());   // mounts disks under /disk as they appear
  trace::boot_mark("devices");
  net::start();    // addresses, names, the time of day
  console::run();  // what the options ask for, then the prompt; never returns
}
