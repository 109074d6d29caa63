// SPDX-License-Identifier: GPL-2.0-or-later
// The kernels on the boot volume of an installed disk, and the block by which GRUB chooses one. For
// threads of CPU 0; these functions wait for disks. One caller at a time changes something.
//
// The files have their full size since the installation, and are overwritten in place: an update
// changes no table of the file system. It writes the slot that neither runs nor is the good one,
// and last of all one sector of the block. So a power cut at any write leaves the good kernel as it
// is, and the new one is tried as a whole or not at all.
#pragma once

#include "service/update/block.h"
#include "service/update/file.h"

namespace service::update {

// How the installation makes the files.
constexpr std::string_view kBlockPath = "boot/grub/grubenv";
std::string_view slot_path(Slot slot);  // "boot/a/marrow.elf"
constexpr Slot kWrittenSlots[] = {Slot::kA, Slot::kB};
// Returns the size of a slot's file for a kernel of that size, which leaves room for larger ones.
u64 slot_bytes(u64 kernel_bytes);

// Returns where the boot volume of the disk that Marrow was started from is mounted, or kNotFound
// if there is none with slots.
Result<String> find_boot_volume();
Result<BootBlock> read_boot_block(std::string_view point);
// Writes the one sector of the block that has values.
Result<void> store_boot_block(std::string_view point, const BootBlock& block);

// Returns the manifest of the kernel in a slot that updates write, or kNotFound if it is empty.
Result<Head> slot_head(std::string_view point, Slot slot);

// Where this kernel was started from.
Slot running_slot();

// Judges an update before more than its head is read: its signature, machine, version and size.
// Returns the slot that it would be written to, and the key that has signed it.
struct Target {
  Slot slot;
  bundle::KeyId key;
};
Result<Target> judge_update(const Head& head, u64 file_bytes, std::string_view point);

struct Plan {
  std::string_view point;  // of the boot volume
  // Describes what the attempt must show. Its other fields are ignored.
  BootBlock expected;
  ProgressSink& watcher;
};
struct Written {
  Slot slot;
  Head head;
  bundle::KeyId key;
};
// Checks an update file, writes its kernel to a slot, reads it back and lets GRUB try it once.
Result<Written> write_update(std::string_view path, const Plan& plan);

// Lets GRUB try the kernel that was good before this one. If an update still waits for its try, it
// is withdrawn instead.
struct Back {
  bool withdrawn = false;  // the good kernel stays
  Slot slot = Slot::kInstalled;
};
Result<Back> roll_back(const Plan& plan);

// ---- the kernel on trial
Result<void> note_step(std::string_view point, std::string_view step);
Result<void> note_reason(std::string_view point, std::string_view reason);
// The kernel that is back notes what the one that was tried could not write itself. Does nothing if
// the reason is there, or nothing is known.
Result<void> note_last_death(std::string_view point);
// It has proved itself: GRUB starts it from now on.
Result<void> make_good(std::string_view point);

// ---- what people and clients see
enum class State : u8 {
  kNone,     // no attempt is known
  kWaiting,  // the attempt is started by the next restart
  kTrial,    // this kernel has still to prove itself
  kFailed,   // the last attempt has not proved itself
};
const char* state_name(State state);  // "none", "waiting", "trial", "failed"
struct Report {
  bool known = false;  // this machine was started from a disk with slots, and its block was read
  State state = State::kNone;
  Slot running = Slot::kInstalled;
  BootBlock block;
};
// Reads the block anew.
Result<Report> read_report(std::string_view point);
// Returns the block as it was read or written last. Does not wait.
const Report& last_report();
// Says why the attempt of the report has failed.
std::string_view failure_of(const Report& report, std::span<char> room);
// Names the kind of failure: "check", "panic", "hang", "late" or "unknown".
std::string_view cause_of(const Report& report);
constexpr std::string_view kCheckCause = "check";

}  // namespace service::update
