// SPDX-License-Identifier: GPL-2.0-or-later
// The command `ramdisk`: a disk in memory, for models on a machine without another disk.
#include "console/shell/command.h"
#include "kernel/fs/disks.h"
#include "kernel/time/clock.h"
#include "service/memory_disk.h"

namespace console {
namespace {

Result<void> run_ramdisk(const Arguments& arguments, base::Writer& out) {
  if (arguments.words.size() != 2) return fail(Errc::kInvalidArgument, "ramdisk MIB");
  constexpr u64 kMostWaitNs = 10'000'000'000;
  TRY(service::make_memory_disk(TRY(parse_number(arguments.words[1]))));
  fs::wait_for_disks(timing::now_ns() + kMostWaitNs);
  base::format_to(out, "ram0 has {} MiB: what is on it is lost at power-off\n", arguments.words[1]);
  return {};
}

constexpr Command kRamdisk{
    "ramdisk", "ramdisk MIB", "makes a disk in memory, until power-off", run_ramdisk,
    "ramdisk 512   makes ram0 with exFAT, at most 512 MiB. It takes memory for what is written.\n"
    "A machine that has started over the network keeps models there: `model pull` and\n"
    "`model import` choose it where no other disk can be written. A model is in memory twice\n"
    "then, on the disk and loaded. In /marrow.cfg: run=\"ramdisk 512; model pull NAME; talk\""};
CONSOLE_COMMAND(kRamdisk);

}  // namespace
}  // namespace console
