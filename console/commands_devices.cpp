// SPDX-License-Identifier: GPL-2.0-or-later
// Commands about disks and network cards: lsblk, lsnet, disk.
#include <algorithm>
#include <charconv>

#include "console/command.h"
#include "console/io.h"
#include "kernel/base/bytes.h"
#include "kernel/dev/registry.h"
#include "kernel/mm/memory.h"
#include "kernel/time/clock.h"

namespace console {
namespace {

void complete_disk(std::string_view, void (*add)(void*, std::string_view), void* context) {
  for (const char* verb : {"read", "check", "bench"}) add(context, verb);
  for (BlockDevice* disk : devices::blocks()) add(context, disk->name());
}

Result<void> run_lsblk(const Arguments&, base::Writer& out) {
  base::format_to(out, "{:<12} {:<12} {:>12} {:>6} {:>6}\n", "disk", "driver", "MiB", "block",
                  "mode");
  for (BlockDevice* disk : devices::blocks()) {
    BlockGeometry g = disk->geometry();
    base::format_to(out, "{:<12} {:<12} {:>12} {:>6} {:>6}\n", disk->name(), disk->driver(),
                    g.blocks * g.block_bytes / kMiB, g.block_bytes, g.read_only ? "ro" : "rw");
  }
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
  return {};
}
constexpr Command kLsnet{"lsnet", "lsnet", "network cards, links and counters", run_lsnet};
CONSOLE_COMMAND(kLsnet);

// ---- disk ----------------------------------------------------------------------------------

struct Buffer {  // pages for a transfer, given back at the end
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

Result<u64> number(const Arguments& arguments, usize index, u64 otherwise) {
  if (index >= arguments.words.size()) return otherwise;
  std::string_view text = arguments.words[index];
  u64 value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size())
    return fail(Errc::kInvalidArgument, "not a number");
  return value;
}

// The first bytes of a block, as hex and text.
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

// FNV-1a over a range, so that a host can compare with its image: `disk check vda FIRST COUNT`.
Result<void> check_blocks(BlockDevice& disk, u64 first, u64 count, base::Writer& out) {
  u32 bytes = disk.geometry().block_bytes;
  constexpr usize kChunk = 4 * kMiB;
  Buffer buffer = TRY(Buffer::create(kChunk));
  u64 hash = 0xcbf29ce484222325;
  for (u64 done = 0; done < count && !io().interrupted();) {
    u64 part = std::min<u64>(count - done, kChunk / bytes);
    TRY(block::read(disk, first + done, buffer.pages.first(part * bytes)));
    for (Byte b : buffer.pages.first(part * bytes)) hash = (hash ^ b) * 0x100000001b3;
    done += part;
  }
  base::format_to(out, "{} blocks from {}: {:016x}\n", count, first, hash);
  return {};
}

Result<void> bench_disk(BlockDevice& disk, u64 mib, base::Writer& out) {
  BlockGeometry g = disk.geometry();
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
  if (arguments.words.size() < 3)
    return fail(Errc::kInvalidArgument, "disk read|check|bench DISK …: see help disk");
  BlockDevice* disk = devices::find_block(arguments.words[2]);
  if (disk == nullptr) return fail(Errc::kNotFound, "no such disk: lsblk lists them");
  std::string_view verb = arguments.words[1];
  u64 blocks = disk->geometry().blocks;
  if (verb == "bench") return bench_disk(*disk, TRY(number(arguments, 3, 256)), out);
  u64 first = TRY(number(arguments, 3, 0));
  if (first >= blocks) return fail(Errc::kOutOfRange, "past the end of the disk");
  if (verb == "read") return show_block(*disk, first, out);
  u64 count = TRY(number(arguments, 4, blocks - first));
  if (count > blocks - first) return fail(Errc::kOutOfRange, "past the end of the disk");
  if (verb == "check") return check_blocks(*disk, first, count, out);
  return fail(Errc::kInvalidArgument, "disk read|check|bench DISK …: see help disk");
}
constexpr Command kDisk{"disk",
                        "disk read|check|bench DISK [FIRST [COUNT]]",
                        "reads a disk: a block in hex, a hash of blocks, or as fast as it goes",
                        run_disk,
                        "disk read vda 0       block 0 in hex and text\n"
                        "disk check vda 0 100  FNV-1a hash of blocks 0 to 99; Ctrl-C stops\n"
                        "disk bench vda 512    reads 512 MiB from the start and prints the rate",
                        false,
                        complete_disk};
CONSOLE_COMMAND(kDisk);

}  // namespace
}  // namespace console
