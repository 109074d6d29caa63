// SPDX-License-Identifier: GPL-2.0-or-later
// Where a file's bytes lie on its medium, and the read-only File that every file system gives out.
#pragma once

#include "kernel/base/text.h"
#include "kernel/fs/file_system.h"
#include "kernel/fs/medium.h"

namespace fs {

// A stretch of a file that lies in one piece. What no run covers reads as zeros (a hole).
struct Run {
  u64 at = 0;      // in the file
  u64 offset = 0;  // on the medium
  u64 bytes = 0;
};

// Ascending and disjoint runs of a file. Neighbours in the file and on the medium become one, so
// that a contiguous file is read by one transfer.
class RunList {
 public:
  // kCorrupt when it does not lie after what is there already.
  Result<void> add(Run run);
  std::span<const Run> view() const { return runs_.view(); }
  u64 end() const { return runs_.empty() ? 0 : runs_.back().at + runs_.back().bytes; }
  // All of `out` from `offset` of the file.
  Result<void> read(Medium& medium, u64 offset, std::span<Byte> out) const;

 private:
  Vector<Run> runs_;
};

// Watches a walk along a chain of clusters, which its medium may have closed to a ring: by R. P.
// Brent's method ("An improved Monte Carlo factorization algorithm", 1980) a ring is noticed within
// a few times its length, whatever the volume's size. Gives way now and then.
class ChainWatch {
 public:
  // The walk comes to `cluster`, which is not 0. kCorrupt: it has been there.
  Result<void> visit(u32 cluster);

 private:
  u32 mark_ = 0;  // a cluster of before; 0 = none yet
  u64 steps_ = 0, next_mark_ = 1;
};

class RunFile final : public File {
 public:
  RunFile(Medium& medium, RunList runs, u64 size)
      : medium_(medium), runs_(std::move(runs)), size_(size) {}
  u64 size() const override { return size_; }
  Result<usize> read_at(u64 offset, std::span<Byte> out) override;

 private:
  Medium& medium_;
  RunList runs_;
  u64 size_;
};

// A file of few bytes that its file system keeps among its tables (ext4 inline data).
class SmallFile final : public File {
 public:
  explicit SmallFile(Vector<Byte> bytes) : bytes_(std::move(bytes)) {}
  u64 size() const override { return bytes_.size(); }
  Result<usize> read_at(u64 offset, std::span<Byte> out) override;

 private:
  Vector<Byte> bytes_;
};

// Takes the next name off a path: "a/b//c" gives "a" and leaves "b//c"; "" at its end.
std::string_view next_name(std::string_view& path);
// ASCII only, as FAT compares; other characters must be equal.
using base::equal_ignoring_case;
// Appends UTF-16 (little-endian, ended by 0 or the span) as UTF-8; a broken pair becomes U+FFFD.
Result<void> append_utf16(String& out, std::span<const u16> units);

// Name and number must come from the same entry: no '/' and no control character in a name.
bool printable_name(std::string_view name);

}  // namespace fs
