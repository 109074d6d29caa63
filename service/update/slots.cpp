// SPDX-License-Identifier: GPL-2.0-or-later
// Writes slots and the block of an installed disk.
#include "service/update/slots.h"

#include <algorithm>

#include "kernel/base/bytes.h"
#include "kernel/base/format.h"
#include "kernel/fs/disks.h"
#include "kernel/fs/file_system.h"
#include "kernel/log.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"
#include "kernel/trial.h"
#include "service/install/source.h"

namespace service::update {
namespace {

constexpr usize kPieceBytes = kMiB;
constexpr usize kSectorBytes = 4096;  // of the largest that a disk has
constexpr const char* kNoSlots =
    "this machine was not started from an installed disk with slots: `install` makes one";

constinit Report report;

// A path of the boot volume.
class VolumePath {
 public:
  VolumePath(std::string_view point, std::string_view path)
      : view_(base::format_into(room_, "{}/{}", point, path)) {}
  std::string_view view() const { return view_; }

 private:
  char room_[256];
  std::string_view view_;
};

Result<base::Owner<fs::File>> open_slot(std::string_view point, Slot slot) {
  base::Owner<fs::File> file = TRY(fs::open(VolumePath(point, slot_path(slot)).view()));
  if (file->size() % kPieceBytes != 0 || file->size() == 0)
    return fail(Errc::kCorrupt, "a slot's file has not the size that `install` gives it");
  return file;
}

Result<void> write_all(fs::File& file, u64 at, std::span<const Byte> bytes) {
  if (TRY(file.write_at(at, bytes)) != bytes.size())
    return fail(Errc::kIo, "the slot's file is shorter than it was");
  return {};
}

// Reads a kernel that begins at `begin`, always in whole pieces if the file has them: those come
// from the disk and not from a cache. Gives each to `take(at, bytes)`, padded to whole sectors with
// what follows, and compares its hash with the manifest's.
template <class Take>
Result<bool> read_kernel(fs::File& file, u64 begin, const bundle::Payload& kernel, Take take) {
  Vector<Byte> piece;
  TRY(piece.resize(kPieceBytes));
  crypto::Sha256 sha;
  for (u64 at = 0; at < kernel.bytes; at += kPieceBytes, sched::yield()) {
    usize here = static_cast<usize>(std::min<u64>(kPieceBytes, kernel.bytes - at));
    usize got = TRY(file.read_at(begin + at, piece.view()));
    if (got < here) return fail(Errc::kCorrupt, "the file has become shorter");
    sha.update(piece.view().first(here));
    std::ranges::fill(piece.view().subspan(here), Byte{0});
    TRY(take(at, std::span<const Byte>(piece.view().first(base::round_up(here, kSectorBytes)))));
  }
  return sha.finish() == kernel.sha256;
}

// Counts the three readings of a kernel.
class Steps {
 public:
  Steps(ProgressSink& watcher, u64 total) : watcher_(watcher), total_(total) {}
  Result<void> advance(usize bytes) {
    done_ = std::min(done_ + bytes, total_);
    watcher_.on_progress(done_, total_);
    return watcher_.stopped() ? fail(Errc::kCancelled, "stopped") : Result<void>();
  }

 private:
  ProgressSink& watcher_;
  u64 total_, done_ = 0;
};

// Overwrites a slot. Its manifest goes first and comes last.
Result<void> fill_slot(fs::File& from, fs::File& slot, const Head& head, Steps& steps) {
  constexpr const char* kOther = "the disk returns other bytes than it was given: use another disk";
  Byte last[kHeadBytes] = {};
  u64 head_at = slot.size() - kHeadBytes;
  TRY(write_all(slot, head_at, last));
  TRY(slot.flush());
  TRY(read_kernel(from, kHeadBytes, head.manifest.kernel,
                  [&](u64 at, std::span<const Byte> bytes) -> Result<void> {
                    TRY(write_all(slot, at, bytes));
                    return steps.advance(bytes.size());
                  }));
  TRY(slot.flush());
  bool same = TRY(read_kernel(slot, 0, head.manifest.kernel, [&](u64, std::span<const Byte> bytes) {
    return steps.advance(bytes.size());
  }));
  if (!same) return fail(Errc::kCorrupt, kOther);
  TRY(write_head(head.text.view(), last));
  TRY(write_all(slot, head_at, last));
  return slot.flush();
}

// Returns the slot to write: never the good one or the running one, and the old one if need be.
Result<Slot> free_slot(const BootBlock& block) {
  auto in_use = [&](Slot slot) { return slot == block.good || slot == running_slot(); };
  for (Slot slot : kWrittenSlots)
    if (!in_use(slot) && block.old != slot) return slot;
  for (Slot slot : kWrittenSlots)
    if (!in_use(slot)) return slot;
  return fail(Errc::kBusy, "both slots are in use: restart into the good kernel first");
}

// A block that is damaged says nothing, and GRUB does the same with it.
Result<BootBlock> known_block(std::string_view point) {
  Result<BootBlock> block = read_boot_block(point);
  if (block.has_value() || block.error().code != Errc::kCorrupt) return block;
  log::warn("update", "{}", block.error());
  return BootBlock();
}

Result<void> need_no_trial() {
  if (!trial::on()) return {};
  return fail(Errc::kBusy, "this kernel is still on trial: wait until it has proved itself");
}

// Tells GRUB to start a slot once.
Result<void> let_try(const Plan& plan, const BootBlock& choice, Slot slot) {
  BootBlock block = plan.expected;
  block.good = choice.good;
  block.old = choice.old;
  block.attempt = slot;
  block.pending = true;
  block.step = std::string_view("start");
  block.reason = {};
  return store_boot_block(plan.point, block);
}

Result<void> need_good_slot(std::string_view point, Slot slot, ProgressSink& watcher) {
  if (slot == Slot::kInstalled) return {};
  Head head = TRY(slot_head(point, slot));
  TRY(judge_head(head, bundle::trusted_keys(bundle::Use::kKernel), running_version(),
                 Older::kAllowed));
  base::Owner<fs::File> file = TRY(open_slot(point, slot));
  Steps steps(watcher, head.kernel_bytes());
  bool same =
      TRY(read_kernel(*file, 0, head.manifest.kernel, [&](u64, std::span<const Byte> bytes) {
        return steps.advance(bytes.size());
      }));
  return same ? Result<void>() : fail(Errc::kCorrupt, "the kernel in the slot is damaged");
}

}  // namespace

std::string_view slot_path(Slot slot) {
  constexpr std::string_view kPaths[] = {"boot/marrow.elf", "boot/a/marrow.elf",
                                         "boot/b/marrow.elf"};
  return kPaths[static_cast<usize>(slot)];
}

u64 slot_bytes(u64 kernel_bytes) {
  return base::round_up(2 * kernel_bytes + kHeadBytes, kPieceBytes);
}

Slot running_slot() {
  return slot_of(trial::slot()).value_or(Slot::kInstalled);
}

Result<String> find_boot_volume() {
  constexpr u64 kMostWaitNs = 10'000'000'000;
  if (trial::slot().empty()) return fail(Errc::kNotFound, kNoSlots);
  String point = TRY(find_boot_medium());
  if (point.empty()) {
    fs::wait_for_disks(timing::now_ns() + kMostWaitNs);
    point = TRY(find_boot_medium());
  }
  if (point.empty())
    return fail(Errc::kNotFound, "the disk that Marrow was started from is not mounted (`mount`)");
  if (!fs::stat(VolumePath(point.view(), kBlockPath).view()).has_value())
    return fail(Errc::kNotFound, kNoSlots);
  return point;
}

Result<BootBlock> read_boot_block(std::string_view point) {
  base::Owner<fs::File> file = TRY(fs::open(VolumePath(point, kBlockPath).view()));
  char bytes[kBlockBytes + 1];
  usize size = TRY(
      file->read_at(0, {reinterpret_cast<Byte*>(bytes), sizeof bytes}));  // one more than it has
  return parse_block({bytes, size});
}

Result<void> store_boot_block(std::string_view point, const BootBlock& block) {
  base::Owner<fs::File> file = TRY(fs::open(VolumePath(point, kBlockPath).view()));
  if (file->size() != kBlockBytes)
    return fail(Errc::kCorrupt, "the boot block's file has not the size that `install` gives it");
  char bytes[kBlockBytes];
  write_block(block, bytes);
  // The rest is '#' since the installation. If it is not, it is made so first: it has no values.
  char old[kBlockBytes];
  TRY(file->read_at(0, {reinterpret_cast<Byte*>(old), sizeof old}));
  auto rest = std::span<const char>(bytes).subspan(kBlockValueBytes);
  if (!std::ranges::equal(rest, std::span(old).subspan(kBlockValueBytes))) {
    TRY(write_all(*file, kBlockValueBytes,
                  {reinterpret_cast<const Byte*>(rest.data()), rest.size()}));
    TRY(file->flush());
  }
  TRY(write_all(*file, 0, {reinterpret_cast<const Byte*>(bytes), kBlockValueBytes}));
  TRY(file->flush());
  TRY(read_report(point));
  return {};
}

Result<Head> slot_head(std::string_view point, Slot slot) {
  base::Owner<fs::File> file = TRY(open_slot(point, slot));
  Byte bytes[kHeadBytes];
  if (TRY(file->read_at(file->size() - kHeadBytes, bytes)) != kHeadBytes)
    return fail(Errc::kIo, "the slot's file is shorter than it was");
  if (std::ranges::all_of(bytes, [](Byte b) { return b == 0; }))
    return fail(Errc::kNotFound, "the slot is empty");
  return parse_head(bytes);
}

Result<Target> judge_update(const Head& head, u64 file_bytes, std::string_view point) {
  TRY(need_no_trial());
  BootBlock block = TRY(known_block(point));
  bundle::KeyId key = TRY(judge_head(head, bundle::trusted_keys(bundle::Use::kKernel),
                                     running_version(), Older::kRefused));
  if (file_bytes != kHeadBytes + head.kernel_bytes())
    return fail(Errc::kCorrupt, "the update's file has another size than it says: get it again");
  Slot slot = TRY(free_slot(block));
  base::Owner<fs::File> file = TRY(open_slot(point, slot));
  if (head.kernel_bytes() + kHeadBytes > file->size())
    return fail(Errc::kFull, "the kernel is too large for the slots of this disk: install anew");
  return Target{slot, key};
}

Result<Written> write_update(std::string_view path, const Plan& plan) {
  base::Owner<fs::File> from = TRY(fs::open(path));
  Byte start[kHeadBytes];
  usize got = TRY(from->read_at(0, start));
  Head head = TRY(parse_head(std::span<const Byte>(start).first(got)));
  Target target = TRY(judge_update(head, from->size(), plan.point));
  base::Owner<fs::File> slot = TRY(open_slot(plan.point, target.slot));
  Steps steps(plan.watcher, 3 * head.kernel_bytes());
  bool whole =
      TRY(read_kernel(*from, kHeadBytes, head.manifest.kernel,
                      [&](u64, std::span<const Byte> b) { return steps.advance(b.size()); }));
  if (!whole)
    return fail(Errc::kCorrupt,
                "the update's kernel is not the one that was signed: copy it again");
  // From here on nothing may start what is in the slot.
  BootBlock block = TRY(known_block(plan.point));
  if (block.old == target.slot) block.old.reset();
  block.attempt.reset();
  block.pending = false;
  TRY(store_boot_block(plan.point, block));
  TRY(fill_slot(*from, *slot, head, steps));
  TRY(let_try(plan, block, target.slot));
  return Written{target.slot, std::move(head), target.key};
}

Result<Back> roll_back(const Plan& plan) {
  TRY(need_no_trial());
  BootBlock block = TRY(read_boot_block(plan.point));
  if (block.pending) {
    block.attempt.reset();
    block.pending = false;
    TRY(store_boot_block(plan.point, block));
    return Back{.withdrawn = true};
  }
  if (!block.old.has_value())
    return fail(Errc::kNotFound, "there is no kernel before this one to go back to");
  TRY(need_good_slot(plan.point, *block.old, plan.watcher));
  TRY(let_try(plan, block, *block.old));
  return Back{.slot = *block.old};
}

Result<void> note_step(std::string_view point, std::string_view step) {
  BootBlock block = TRY(read_boot_block(point));
  block.step = step;
  return store_boot_block(point, block);
}

Result<void> note_reason(std::string_view point, std::string_view reason) {
  BootBlock block = TRY(read_boot_block(point));
  block.reason = reason;
  return store_boot_block(point, block);
}

Result<void> note_last_death(std::string_view point) {
  BootBlock block = TRY(read_boot_block(point));
  const trial::DeathRecord* death = trial::last_death();
  if (death == nullptr || block.pending || !block.attempt.has_value() || !block.reason.empty())
    return {};
  // A kernel that ends very early does not know its slot.
  if (!death->slot_name().empty() && slot_of(death->slot_name()) != block.attempt) return {};
  char room[128];
  return note_reason(
      point, base::format_into(room, "{}: {}", trial::death_name(death->death), death->why()));
}

Result<void> make_good(std::string_view point) {
  BootBlock block = TRY(read_boot_block(point));
  if (!block.attempt.has_value() || *block.attempt != running_slot() || block.pending)
    return fail(Errc::kCorrupt, "the boot block does not know of this trial");
  BootBlock now;
  now.good = *block.attempt;
  if (block.good != now.good) now.old = block.good;
  TRY(store_boot_block(point, now));
  trial::end();
  report.state = State::kNone;
  return {};
}

const char* state_name(State state) {
  constexpr const char* kNames[] = {"none", "waiting", "trial", "failed"};
  return kNames[static_cast<usize>(state)];
}

Result<Report> read_report(std::string_view point) {
  report.running = running_slot();
  report.known = false;
  report.block = TRY(read_boot_block(point));
  report.known = true;
  report.state = trial::on()                        ? State::kTrial
                 : report.block.pending             ? State::kWaiting
                 : report.block.attempt.has_value() ? State::kFailed
                                                    : State::kNone;
  return report;
}

const Report& last_report() {
  return report;
}

std::string_view cause_of(const Report& last) {
  constexpr std::string_view kCauses[] = {kCheckCause, "panic", "hang", "late"};
  std::string_view reason = last.block.reason.view();
  for (std::string_view cause : kCauses)
    if (reason.starts_with(cause) && reason.substr(cause.size()).starts_with(": ")) return cause;
  return "unknown";
}

std::string_view failure_of(const Report& last, std::span<char> room) {
  if (!last.block.reason.empty())
    return base::format_into(room, "{} (step {})", last.block.reason.view(),
                             last.block.step.view());
  return base::format_into(room,
                           "not known: power loss, a reset, a hang, or a file that does not load "
                           "(step {})",
                           last.block.step.view());
}

}  // namespace service::update
