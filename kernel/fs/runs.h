// SPDX-License-Identifier: GPL-2.0-or-later
// Runs: where a file's bytes are on its medium. Also the read-only File that every file system
// returns.
#pragma once

#include "kernel/base/text.h"
#include "kernel/fs/file_system.h"
#include "kernel/fs/medium.h"

namespace fs {

// A contiguous part of a file. Parts that no run covers read as zeros (a hole).
struct Run {
  u64 at = 0;      // offset in the file
  u64 offset = 0;  // offset on the medium
  u64 bytes = 0;
};

// Ascending, disjoint runs of a file. Runs that are adjacent in the file and on the medium are
// merged, so that one transfer reads a contiguous file.
class RunList {
 public:
  // Returns kCorrupt if the run does not lie after the last one.
  Result<void> add(Run run);
  std::span<const Run> view() const { return runs_.view(); }
  u64 end() const { return runs_.empty() ? 0 : runs_.back().at + runs_.back().bytes; }
  // Reads all of `out` from `offset` of the file.
  Result<void> read(Medium& medium, u64 offset, std::span<Byte> out) const;
  // Writes all of `in`. Returns kCorrupt if a byte of it is in no run.
  Result<void> write(Medium& medium, u64 offset, std::span<const Byte> in) const;

 private:
  const Run* run_at(u64 offset) const;
  Vector<Run> runs_;
};

// Watches a walk along a chain of clusters for rings, which a damaged medium may have. By R. P.
// Brent's method ("An improved Monte Carlo factorization algorithm", 1980) a ring is noticed within
// a few times its length, whatever the size of the volume. Yields now and then.
class ChainWatch {
 public:
  // Called for each `cluster`, which is not 0. Returns kCorrupt if the walk has been there before.
  Result<void> visit(u32 cluster);

 private:
  u32 mark_ = 0;  // a cluster visited earlier; 0 = none yet
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

// A small file that its file system stores among its tables (ext4 inline data).
class SmallFile final : public File {
 public:
  explicit SmallFile(Vector<Byte> bytes) : bytes_(std::move(bytes)) {}
  u64 size() const override { return bytes_.size(); }
  Result<usize> read_at(u64 offset, std::span<Byte> out) override;

 private:
  Vector<Byte> bytes_;
};

// Removes the next name from a path: "a/b//c" gives "a" and leaves "b//c". Returns "" at the end.
std::string_view next_name(std::string_view& path);
// Ignores case in ASCII only, as FAT does. Other characters must be equal.
using base::equal_ignoring_case;
// Appends UTF-16 (little-endian, ended by 0 or the span) as UTF-8. A broken pair becomes U+FFFD.
Result<void> append_utf16(String& out, std::span<const u16> units);

// Returns true if a name has no '/' and no control character.
bool printable_name(std::string_view name);

constexpr usize kMostNameUnits = 255;
// Writes a name that FAT and exFAT allow as UTF-16 and returns its length in units.
Result<usize> name_units(std::string_view name, std::span<u16, kMostNameUnits> out);

// Splits "a/b/c" into "a/b" and "c".
struct PathSplit {
  std::string_view parent, name;
};
PathSplit split_path(std::string_view path);

}  // namespace fs
