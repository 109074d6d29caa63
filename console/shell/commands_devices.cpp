// SPDX-License-Identifier: GPL-2.0-or-later
// The commands about drivers and devices: drivers, lsusb, lsblk, lsnet, disk.
#include <algorithm>
#include <array>

#include "console/shell/command.h"
#include "console/terminal/io.h"
#include "kernel/base/bytes.h"
#include "kernel/base/hash.h"
#include "kernel/base/hex.h"
#include "kernel/crypto/sha256.h"
#include "kernel/dev/registry.h"
#include "kernel/log.h"
#include "kernel/mm/memory.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"

namespace console {
namespace {

void complete_disk(std::string_view, void (*add)(void*, std::string_view), void* context) {
  for (const char* verb : {"read", "check", "verify", "fill", "bench"}) add(context, verb);
  for (BlockDevice* disk : devices::blocks()) add(context, disk->name());
}

Result<const devices::DriverService*> driver_service() {
  const devices::DriverService* service = devices::driver_service();
  if (service == nullptr) return fail(Errc::kUnsupported, "no drivers run here");
  return service;
}

// A driver reset that happens later, on its own thread, so that it interrupts other work.
struct LaterReset {
  char function[16];
  u64 after_ns;
};
Result<void> reset_later(const devices::DriverService& service, std::string_view function, u64 ms) {
  static constexpr u64 kNsPerMs = 1'000'000;
  static constinit LaterReset later{};
  static constinit const devices::DriverService* by = nullptr;
  if (by != nullptr)
    return fail(Errc::kBusy, "another reset is scheduled: wait until it has happened");
  if (function.size() >= sizeof later.function || ms > 60'000)
    return fail(Errc::kInvalidArgument, "drivers reset FUNCTION MS, at most 60000");
  base::format_into(later.function, "{}", function);
  later.after_ns = ms * kNsPerMs;
  by = &service;
  auto run = [](void*) {
    sched::sleep_ns(later.after_ns);
    Result<void> done = by->reset(later.function);
    if (!done.has_value()) log::warn("drivers", "reset of {}: {}", later.function, done.error());
    by = nullptr;
  };
  if (sched::spawn("reset", run, nullptr).has_value()) return {};
  by = nullptr;
  return fail(Errc::kOutOfMemory, "no memory for a thread");
}

Result<void> run_drivers(const Arguments& arguments, base::Writer& out) {
  const devices::DriverService* service = TRY(driver_service());
  if (arguments.words.size() == 1) {
    service->list(out);
    return {};
  }
  std::string_view verb = arguments.words[1];
  if (arguments.words.size() == 3 && verb == "reset") return service->reset(arguments.words[2]);
  if (arguments.words.size() == 4 && verb == "reset")
    return reset_later(*service, arguments.words[2], TRY(number_at(arguments, 3, 0)));
  if (arguments.words.size() == 3 && verb == "starve") {
    service->starve_dma(TRY(number_at(arguments, 2, 0)));
    return {};
  }
  return fail(Errc::kInvalidArgument, "drivers [reset FUNCTION [MS]|starve COUNT]");
}
constexpr Command kDrivers{"drivers", "drivers [reset FUNCTION [MS]|starve COUNT]",
                           "devices, their drivers and their state", run_drivers,
                           "drivers reset 00:04.0    resets that PCI function through its driver,\n"
                           "                         MS: after that many milliseconds\n"
                           "drivers starve 10        the next 10 DMA mappings fail, for tests"};
CONSOLE_COMMAND(kDrivers);

Result<void> run_lsusb(const Arguments&, base::Writer& out) {
  const devices::DriverService* service = TRY(driver_service());
  service->list_usb(out);
  return {};
}
constexpr Command kLsusb{"lsusb", "lsusb", "USB devices: place, driver, speed, ids and name",
                         run_lsusb};
CONSOLE_COMMAND(kLsusb);

// Gives a hint when a list is empty, because there may be devices without a driver.
void advise(base::Writer& out) {
  const devices::DriverService* service = devices::driver_service();
  if (service != nullptr) service->advise(out);
}

Result<void> run_lsblk(const Arguments&, base::Writer& out) {
  base::format_to(out, "{:<12} {:<12} {:>12} {:>6} {:>6}\n", "disk", "driver", "MiB", "block",
                  "mode");
  for (BlockDevice* disk : devices::blocks()) {
    BlockGeometry g = disk->geometry();
    base::format_to(out, "{:<12} {:<12} {:>12} {:>6} {:>6}\n", disk->name(), disk->driver(),
                    g.blocks * g.block_bytes / kMiB, g.block_bytes,
                    g.blocks == 0 ? "gone"
                    : g.read_only ? "ro"
                                  : "rw");
  }
  if (devices::blocks().empty()) advise(out);
  return {};
}
constexpr Command kLsblk{"lsblk", "lsblk", "disks, their drivers and sizes", run_lsblk};
CONSOLE_COMMAND(kLsblk);

Result<void> run_lsnet(const Arguments&, base::Writer& out) {
  for (NetDevice* card : devices::nets()) {
    MacAddress m = card->mac();
    NetCounters c = card->counters();
    base::format_to(out, "{}: {} {:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x} mtu {} {}\n",
                    card->name(), card->driver(), m[0], m[1], m[2], m[3], m[4], m[5], card->mtu(),
                    card->link_up() ? "link up" : "no link");
    base::format_to(out, "  in  {:>12} frames {:>14} bytes {:>8} dropped {:>8} errors\n",
                    c.frames_in, c.bytes_in, c.dropped_in, c.errors_in);
    base::format_to(out, "  out {:>12} frames {:>14} bytes {:>8} {:>7} {:>8} errors\n",
                    c.frames_out, c.bytes_out, "", "", c.errors_out);
  }
  if (devices::nets().empty()) advise(out);
  return {};
}
constexpr Command kLsnet{"lsnet", "lsnet", "network cards, links and counters", run_lsnet};
CONSOLE_COMMAND(kLsnet);

// ---- disk ----------------------------------------------------------------------------------

struct Buffer {  // owns the pages of a transfer
  static Result<Buffer> create(usize bytes) {
    mm::PageRequest request{
        .bytes = bytes, .purpose = mm::Purpose::kFiles, .align = mm::kLargePageBytes};
    return Buffer(TRY(mm::allocate_pages(request)));
  }
  Buffer(Buffer&& other) noexcept : pages(std::exchange(other.pages, {})) {}
  Buffer& operator=(Buffer&&) = delete;
  ~Buffer() {
    if (!pages.empty()) mm::free_pages(pages);
  }
  std::span<Byte> pages;

 private:
  explicit Buffer(std::span<Byte> p) : pages(p) {}
};

// Prints the first bytes of a block as hex and text.
Result<void> show_block(BlockDevice& disk, u64 block, base::Writer& out) {
  u32 bytes = disk.geometry().block_bytes;
  Buffer buffer = TRY(Buffer::create(bytes));
  TRY(block::read(disk, block, buffer.pages.first(bytes)));
  for (usize at = 0; at < std::min<usize>(bytes, 512); at += 16) {
    base::format_to(out, "{:04x} ", at);
    for (usize i = 0; i < 16; i++) base::format_to(out, " {:02x}", buffer.pages[at + i]);
    out.write("  ");
    for (usize i = 0; i < 16; i++) {
      char c = static_cast<char>(buffer.pages[at + i]);
      out.write({c >= 0x20 && c < 0x7f ? &c : ".", 1});
    }
    out.write("\n");
  }
  return {};
}

// Prints FNV-1a over a range, so that a host can compare it with its image: `disk check vda FIRST
// COUNT`.
Result<void> check_blocks(BlockDevice& disk, u64 first, u64 count, base::Writer& out) {
  u32 bytes = disk.geometry().block_bytes;
  constexpr usize kChunk = 4 * kMiB;
  Buffer buffer = TRY(Buffer::create(kChunk));
  base::Fnv1a hash;
  for (u64 done = 0; done < count && !io().interrupted();) {
    u64 part = std::min<u64>(count - done, kChunk / bytes);
    TRY(block::read(disk, first + done, buffer.pages.first(part * bytes)));
    hash.add(buffer.pages.first(part * bytes));
    done += part;
  }
  base::format_to(out, "{} blocks from {}: {:016x}\n", count, first, hash.value());
  return {};
}

// Generates splitmix64's numbers. A host computes the same ones in ten lines of any language.
struct Numbers {
  u64 state;
  u64 next() {
    u64 z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
};

// Reads random places with many requests in flight, and hashes them in the order of their numbers.
class Verifier {
 public:
  static constexpr usize kDeep = 16, kMostBlocks = 32;
  // `buffer` has kDeep * kMostBlocks blocks.
  Verifier(BlockDevice& disk, Buffer buffer, u64 seed, u64 count)
      : disk_(disk),
        geometry_(disk.geometry()),
        buffer_(std::move(buffer)),
        numbers_{seed},
        count_(count) {}
  Result<void> run(base::Writer& out);

 private:
  struct Slot {
    BlockRequest request;
    Verifier* owner = nullptr;
    bool submitted = false;
    std::atomic<bool> done{false};
  };
  void prepare(Slot& slot, usize index);
  Result<bool> submit(Slot& slot);
  Result<void> drain();
  void wait() {
    disk_.poll();
    done_.wait(timing::now_ns() + 10'000'000);
  }

  BlockDevice& disk_;
  BlockGeometry geometry_;  // as it was at the start: a disk that was removed has no blocks
  Buffer buffer_;
  Numbers numbers_;
  u64 count_;
  u64 bytes_ = 0;
  std::array<Slot, kDeep> slots_;
  sched::WaitQueue done_;
};

void Verifier::prepare(Slot& slot, usize index) {
  const BlockGeometry& g = geometry_;
  u64 most = std::min<u64>(kMostBlocks, g.max_transfer_bytes / g.block_bytes);
  u64 first = numbers_.next() % g.blocks;
  u64 blocks = std::min(1 + numbers_.next() % most, g.blocks - first);
  slot.owner = this;
  slot.submitted = false;
  slot.done = false;
  slot.request = {
      .operation = BlockOperation::kRead,
      .first_block = first,
      .buffer = buffer_.pages.subspan(index * kMostBlocks * g.block_bytes, blocks * g.block_bytes),
      .complete =
          [](BlockRequest& r) {
            Slot& s = *static_cast<Slot*>(r.context);
            s.done = true;
            s.owner->done_.wake_all();
          },
      .context = &slot,
      .status = {}};
}

// Returns false if the disk's queue is full.
Result<bool> Verifier::submit(Slot& slot) {
  if (slot.submitted) return true;
  slot.submitted = true;
  auto taken = disk_.submit(slot.request);
  if (taken.has_value()) return true;
  slot.submitted = false;
  if (taken.error().code == Errc::kBusy) return false;
  return std::unexpected(taken.error());
}

Result<void> Verifier::drain() {
  Result<void> status;
  for (Slot& slot : slots_) {
    while (slot.submitted && !slot.done) wait();
    if (slot.submitted && status.has_value()) status = slot.request.status;
  }
  return status;
}

Result<void> Verifier::run(base::Writer& out) {
  crypto::Sha256 hash;
  Result<void> status;
  u64 prepared = 0;
  u64 taken = 0;
  for (; taken < count_ && status.has_value() && !io().interrupted(); taken++) {
    for (; prepared < count_ && prepared < taken + kDeep; prepared++)
      prepare(slots_[prepared % kDeep], prepared % kDeep);
    bool room = true;
    for (u64 i = taken; i < prepared && room && status.has_value(); i++) {
      auto submitted = submit(slots_[i % kDeep]);
      if (!submitted.has_value()) status = std::unexpected(submitted.error());
      room = submitted.value_or(false);
    }
    Slot& slot = slots_[taken % kDeep];
    if (!status.has_value()) break;
    if (!slot.submitted) {  // not even the oldest was accepted: others keep the queue full
      wait();
      taken--;
      continue;
    }
    while (!slot.done) wait();
    status = slot.request.status;
    slot.submitted = false;
    hash.update(slot.request.buffer);
    sched::yield();  // a fast disk would otherwise never let other threads run
    bytes_ += slot.request.buffer.size();
  }
  Result<void> rest = drain();
  TRY(status);
  TRY(rest);
  base::format_to(out, "{} reads, {} bytes: ", taken, bytes_);
  base::write_hex(hash.finish(), out);
  out.write("\n");
  return {};
}

// Overwrites blocks with the numbers of a seed, flushes, and reads them back.
Result<void> fill_blocks(BlockDevice& disk, u64 first, u64 count, u64 seed, base::Writer& out) {
  u32 bytes = disk.geometry().block_bytes;
  constexpr usize kChunk = 4 * kMiB;
  Buffer buffer = TRY(Buffer::create(kChunk));
  auto words = std::span(reinterpret_cast<u64*>(buffer.pages.data()), kChunk / sizeof(u64));
  u64 wrong = 0;
  for (bool checking : {false, true}) {
    Numbers numbers{seed};
    for (u64 done = 0; done < count;) {
      u64 part = std::min<u64>(count - done, kChunk / bytes);
      auto run = words.first(part * bytes / sizeof(u64));
      if (checking) {
        TRY(block::read(disk, first + done, buffer.pages.first(part * bytes)));
        for (u64 word : run) wrong += word != numbers.next() ? 1 : 0;
      } else {
        for (u64& word : run) word = numbers.next();
        TRY(block::write(disk, first + done, buffer.pages.first(part * bytes)));
      }
      done += part;
    }
    if (!checking) TRY(block::flush(disk));
  }
  base::format_to(out, "{} blocks from {} written, {} words differ when read back\n", count, first,
                  wrong);
  return {};
}

Result<void> bench_disk(BlockDevice& disk, u64 mib, base::Writer& out) {
  BlockGeometry g = disk.geometry();
  if (mib == 0) return fail(Errc::kInvalidArgument, "the number of MiB must be at least 1");
  u64 bytes = std::min(mib * kMiB, base::round_down(g.blocks * g.block_bytes, kMiB));
  if (bytes == 0) return fail(Errc::kOutOfRange, "the disk holds less than a MiB");
  Buffer buffer = TRY(Buffer::create(std::min<u64>(bytes, 64 * kMiB)));
  u64 begin = timing::now_ns();
  for (u64 done = 0; done < bytes && !io().interrupted();) {
    u64 part = std::min<u64>(bytes - done, buffer.pages.size());
    TRY(block::read(disk, done / g.block_bytes, buffer.pages.first(part)));
    done += part;
  }
  u64 took = timing::now_ns() - begin;
  base::format_to(out, "{}: {} MiB in {} ms, {} MiB/s\n", disk.name(), bytes / kMiB,
                  base::ratio(took, 1'000'000, 1),
                  base::ratio(bytes * 1000, took * (kMiB / 1'000'000), 1));
  return {};
}

Result<void> run_disk(const Arguments& arguments, base::Writer& out) {
  constexpr std::string_view kUsage = "disk read|check|verify|fill|bench DISK …: see help disk";
  if (arguments.words.size() < 3) return fail(Errc::kInvalidArgument, kUsage.data());
  BlockDevice* disk = devices::find_block(arguments.words[2]);
  if (disk == nullptr) return fail(Errc::kNotFound, "no such disk: lsblk lists them");
  std::string_view verb = arguments.words[1];
  u64 blocks = disk->geometry().blocks;
  if (blocks == 0) return fail(Errc::kNotFound, "the disk is gone");
  if (verb == "bench") return bench_disk(*disk, TRY(number_at(arguments, 3, 256)), out);
  if (verb == "verify") {
    u64 seed = TRY(number_at(arguments, 3, 1));
    u64 count = TRY(number_at(arguments, 4, 1000));
    usize bytes = Verifier::kDeep * Verifier::kMostBlocks * disk->geometry().block_bytes;
    return Verifier(*disk, TRY(Buffer::create(bytes)), seed, count).run(out);
  }
  u64 first = TRY(number_at(arguments, 3, 0));
  if (first >= blocks) return fail(Errc::kOutOfRange, "past the end of the disk");
  if (verb == "read") return show_block(*disk, first, out);
  u64 count = TRY(number_at(arguments, 4, blocks - first));
  if (count > blocks - first) return fail(Errc::kOutOfRange, "past the end of the disk");
  if (verb == "check") return check_blocks(*disk, first, count, out);
  if (verb == "fill" && arguments.words.size() == 6)
    return fill_blocks(*disk, first, count, TRY(number_at(arguments, 5, 1)), out);
  return fail(Errc::kInvalidArgument, kUsage.data());
}
constexpr Command kDisk{
    "disk",
    "disk read|check|verify|fill|bench DISK [FIRST [COUNT [SEED]]]",
    "reads a disk: a block in hex, a hash of blocks, or as fast as it goes",
    run_disk,
    "disk read vda 0          block 0 in hex and text\n"
    "disk check vda 0 100     FNV-1a hash of blocks 0 to 99; Ctrl-C stops\n"
    "disk verify vda 7 1000   SHA-256 of 1000 reads at random places, seed 7\n"
    "disk fill vda 0 100 7    OVERWRITES 100 blocks with the numbers of seed 7\n"
    "disk bench vda 512       reads 512 MiB from the start and prints the rate",
    false,
    complete_disk};
CONSOLE_COMMAND(kDisk);

}  // namespace
}  // namespace console
