// SPDX-License-Identifier: GPL-2.0-or-later
// A file of an exFAT volume, as its owner reads and writes it. Used by one thread at a time.
#pragma once

#include "kernel/fs/exfat.h"

namespace fs {

class ExfatFile final : public File {
 public:
  // `entry` is that of a file that exists, or has no slots for one that flush() shall make.
  ExfatFile(Exfat& exfat, ExfatEntry entry, String path, RunList valid_runs);
  ExfatFile(const ExfatFile&) = delete;
  ExfatFile& operator=(const ExfatFile&) = delete;
  ~ExfatFile() override;

  u64 size() const override { return size_; }
  Result<usize> read_at(u64 offset, std::span<Byte> out) override;
  Result<usize> write_at(u64 offset, std::span<const Byte> in) override;
  Result<void> truncate(u64 bytes) override;
  Result<void> flush() override;
  bool appears_at_flush() const override { return !listed(); }

 private:
  friend class Exfat;

  bool listed() const { return entry_.slots > 0; }
  Result<void> prepare();
  Result<void> need_current();
  Result<void> grow(u64 bytes);
  Result<void> fill_gap(u64 offset);
  Result<void> publish();
  Result<void> conclude(Result<void> published);
  Result<void> list_new(const ExfatChain& data);
  Result<void> trim();
  Result<void> give_back();
  u32 cluster_of(u64 medium_offset) const;

  Exfat& exfat_;
  ExfatEntry entry_;  // what the directory says
  String path_;
  RunList runs_;        // of all clusters that are taken, or of the valid bytes only
  bool whole_ = false;  // runs_ has all clusters
  bool contiguous_;
  u64 size_, valid_;
  bool changed_;          // the directory does not say yet what the file is
  bool holding_ = false;  // it has clusters that its entry set may not name: counted in unsettled_
  ExfatFile* next_;       // in the volume's list of open files
};

}  // namespace fs
