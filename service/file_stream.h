// SPDX-License-Identifier: GPL-2.0-or-later
// Files as byte streams, for saving texts from the engine and restoring them. They wait for the
// disk, so they belong to threads of CPU 0.
#pragma once

#include <algorithm>
#include <cstring>

#include "ai/byte_stream.h"
#include "kernel/fs/file_system.h"

namespace service {

// Collects small pieces into large writes, because a disk wants whole blocks. flush() writes what
// is left.
class FileSink final : public ai::ByteSink {
 public:
  explicit FileSink(fs::File& file) : file_(file) {}
  Result<void> write(std::span<const Byte> bytes) override {
    while (!bytes.empty()) {
      usize part = std::min(bytes.size(), sizeof buffer_ - used_);
      std::memcpy(buffer_ + used_, bytes.data(), part);
      used_ += part;
      bytes = bytes.subspan(part);
      if (used_ == sizeof buffer_) TRY(flush());
    }
    return {};
  }
  Result<void> flush() {
    usize written = TRY(file_.write_at(at_, {buffer_, used_}));
    if (written != used_) return fail(Errc::kFull, "the disk is full: delete files");
    at_ += used_;
    used_ = 0;
    return {};
  }
  u64 written() const { return at_; }  // bytes written to the file, without those in the buffer

 private:
  fs::File& file_;
  u64 at_ = 0;
  usize used_ = 0;
  Byte buffer_[64 * kKiB];  // too large for a stack: the sink itself is on the heap
};

class FileSource final : public ai::ByteSource {
 public:
  explicit FileSource(fs::File& file) : file_(file) {}
  Result<void> read(std::span<Byte> out) override {
    while (!out.empty()) {
      usize got = TRY(file_.read_at(at_, out));
      if (got == 0) return fail(Errc::kCorrupt, "the saved text is not complete");
      at_ += got;
      out = out.subspan(got);
    }
    return {};
  }
  u64 taken() const { return at_; }

 private:
  fs::File& file_;
  u64 at_ = 0;
};

}  // namespace service
