// SPDX-License-Identifier: GPL-2.0-or-later
// The bytes of a disk at any offset, as file systems read and write them, and a cache for their
// tables.
#pragma once

#include <span>

#include "kernel/base/bytes.h"
#include "kernel/base/containers.h"
#include "kernel/sched/thread.h"

namespace fs {

class Medium {
 public:
  virtual u64 size() const = 0;  // bytes
  virtual bool writable() const { return false; }
  // Reads all of `out`, or returns an error.
  virtual Result<void> read(u64 offset, std::span<Byte> out) = 0;
  virtual Result<void> write(u64, std::span<const Byte>) {
    return fail(Errc::kPermission, "the disk is read-only: use another disk");
  }
  virtual Result<void> flush() { return {}; }

 protected:
  ~Medium() = default;
};

// Writes zeros over a part of the medium.
Result<void> write_zeros(Medium& medium, u64 at, u64 bytes);

// Part of a medium: a partition.
class MediumPart final : public Medium {
 public:
  MediumPart(Medium& whole, u64 offset, u64 bytes) : whole_(whole), offset_(offset), size_(bytes) {}
  u64 size() const override { return size_; }
  bool writable() const override { return whole_.writable(); }
  Result<void> read(u64 offset, std::span<Byte> out) override;
  Result<void> write(u64 offset, std::span<const Byte> in) override;
  Result<void> flush() override { return whole_.flush(); }

 private:
  Medium& whole_;
  u64 offset_, size_;
};

// Bytes in memory, for the images of tests and fuzzers.
class MemoryMedium final : public Medium {
 public:
  explicit MemoryMedium(std::span<const Byte> bytes) : bytes_(bytes) {}
  explicit MemoryMedium(std::span<Byte> bytes) : bytes_(bytes), writable_(bytes) {}
  u64 size() const override { return bytes_.size(); }
  bool writable() const override { return !writable_.empty(); }
  Result<void> read(u64 offset, std::span<Byte> out) override;
  Result<void> write(u64 offset, std::span<const Byte> in) override;

 private:
  std::span<const Byte> bytes_;
  std::span<Byte> writable_;
};

// Lets one thread at a time do work that must not be interleaved, because other threads run while a
// disk works.
class Turn {
 public:
  void take();
  void give();

 private:
  bool taken_ = false;
  sched::WaitQueue waiting_;
};
class TurnGuard {
 public:
  explicit TurnGuard(Turn& turn) : turn_(turn) { turn_.take(); }
  ~TurnGuard() { turn_.give(); }
  TurnGuard(const TurnGuard&) = delete;
  TurnGuard& operator=(const TurnGuard&) = delete;

 private:
  Turn& turn_;
};

// Caches small reads in lines of 4 KiB and writes through. Accesses of kDirect bytes or more go
// directly to the medium, whose driver moves the bytes to the caller's pages.
class CachedMedium final : public Medium {
 public:
  static constexpr usize kLineBytes = 4096, kLines = 64, kDirect = 32 * 1024;

  explicit CachedMedium(Medium& medium) : medium_(medium) {}
  CachedMedium(const CachedMedium&) = delete;
  CachedMedium& operator=(const CachedMedium&) = delete;
  ~CachedMedium() {
    if (bytes_ != nullptr) base::deallocate(bytes_);
  }
  Result<void> init();
  u64 size() const override { return medium_.size(); }
  bool writable() const override { return medium_.writable(); }
  Result<void> read(u64 offset, std::span<Byte> out) override;
  Result<void> write(u64 offset, std::span<const Byte> in) override;
  Result<void> flush() override { return medium_.flush(); }

 private:
  static constexpr u64 kNone = ~u64{0};
  Result<std::span<const Byte>> line(u64 index);

  Medium& medium_;
  Turn turn_;
  Byte* bytes_ = nullptr;           // kLines lines, set by init()
  std::array<u64, kLines> held_{};  // the line of the medium that each slot holds
};

}  // namespace fs
