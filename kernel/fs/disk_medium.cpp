// SPDX-License-Identifier: GPL-2.0-or-later
// Reads and writes the bytes of a block device at any alignment.
#include "kernel/fs/disks.h"
#include "kernel/log.h"
#include "kernel/mm/memory.h"

namespace fs {
namespace {

// Owns a page for the block at an unaligned end. DMA can reach it, while it may not reach the stack
// or the heap.
class Bounce {
 public:
  static Result<Bounce> create(u32 block_bytes) {
    return Bounce(TRY(mm::allocate_pages(
        {.bytes = block_bytes, .purpose = mm::Purpose::kFiles, .zeroed = false})));
  }
  Bounce(Bounce&& other) noexcept : pages_(std::exchange(other.pages_, {})) {}
  Bounce& operator=(Bounce&&) = delete;
  ~Bounce() {
    if (!pages_.empty()) mm::free_pages(pages_);
  }
  std::span<Byte> first(usize bytes) const { return pages_.first(bytes); }

 private:
  explicit Bounce(std::span<Byte> pages) : pages_(pages) {}
  std::span<Byte> pages_;
};

// Logs a failed transfer with its first block, and returns its result. The driver's own line names
// the sector.
Result<void> told(BlockDevice& device, const char* what, u64 first, usize bytes,
                  Result<void> result) {
  if (!result.has_value())
    log::warn("fs", "{}: {} of blocks {} to {}: {}", device.name(), what, first,
              first + bytes / device.geometry().block_bytes - 1, result.error());
  return result;
}
Result<void> read_blocks(BlockDevice& device, u64 first, std::span<Byte> out) {
  return told(device, "read", first, out.size(), block::read(device, first, out));
}
Result<void> write_blocks(BlockDevice& device, u64 first, std::span<const Byte> in) {
  return told(device, "write", first, in.size(), block::write(device, first, in));
}

}  // namespace

Result<void> DiskMedium::read(u64 offset, std::span<Byte> out) {
  u32 block = device_.geometry().block_bytes;
  while (!out.empty()) {
    usize into = static_cast<usize>(offset % block);
    // Controllers need memory with at least 4-byte alignment (NVMe 1.4, PRP entries).
    bool aligned = into == 0 && reinterpret_cast<u64>(out.data()) % 4 == 0;
    usize whole = aligned ? out.size() / block * block : 0;
    if (whole > 0) {
      TRY(read_blocks(device_, offset / block, out.first(whole)));
      out = out.subspan(whole);
      offset += whole;
      continue;
    }
    // Whole blocks into unaligned memory, and one unaligned end, go through pages of this function.
    usize most = aligned || into != 0 ? block : usize{64 * 1024};
    usize span = std::min<usize>(most, base::round_up(into + out.size(), block));
    Bounce bounce = TRY(Bounce::create(static_cast<u32>(span)));
    TRY(read_blocks(device_, offset / block, bounce.first(span)));
    usize part = std::min(out.size(), span - into);
    std::memcpy(out.data(), bounce.first(span).data() + into, part);
    out = out.subspan(part);
    offset += part;
  }
  return {};
}

Result<void> DiskMedium::write(u64 offset, std::span<const Byte> in) {
  u32 block = device_.geometry().block_bytes;
  while (!in.empty()) {
    usize into = static_cast<usize>(offset % block);
    bool whole = into == 0 && in.size() >= block;
    bool aligned = whole && reinterpret_cast<u64>(in.data()) % 4 == 0;
    usize part = std::min(in.size(), block - into);
    if (aligned) {
      part = in.size() / block * block;
      TRY(write_blocks(device_, offset / block, in.first(part)));
    } else {
      Bounce bounce = TRY(Bounce::create(block));
      if (!whole) TRY(read_blocks(device_, offset / block, bounce.first(block)));
      std::memcpy(bounce.first(block).data() + into, in.data(), part);
      TRY(write_blocks(device_, offset / block, bounce.first(block)));
    }
    in = in.subspan(part);
    offset += part;
  }
  return {};
}

}  // namespace fs
