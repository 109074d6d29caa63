// SPDX-License-Identifier: GPL-2.0-or-later
// Reads ISO 9660 (ECMA-119) with Rock Ridge names (IEEE P1282) and relocated directories.
#pragma once

#include "kernel/fs/runs.h"

namespace fs {

class Iso9660 final : public FileSystem {
 public:
  static Result<base::Owner<Iso9660>> mount(Medium& medium);
  explicit Iso9660(Medium& medium) : medium_(medium) {}

  const char* kind() const override { return "iso9660"; }
  Result<base::Owner<File>> open(std::string_view path) override;
  Result<FileInfo> stat(std::string_view path) override;
  Result<void> list(std::string_view path, DirectoryVisitor& visitor) override;
  Result<Space> space() override { return Space{medium_.size(), 0}; }

 private:
  struct Entry {
    String name;
    bool directory = false;
    RunList runs;  // of the file's data, or of the directory's records
    u64 size = 0;
  };
  struct RockRidge {
    String name;
    u32 child = 0;       // CL: the block of a directory that was relocated because it was too deep
    bool moved = false;  // RE: a directory that was relocated to here
    bool unreadable = false;  // a symbolic link or a device
  };

  Result<RockRidge> rock_ridge(std::span<const Byte> record);
  Result<void> system_use(std::span<const Byte> area, RockRidge& out, u32 depth);
  Result<Entry> entry_of(std::span<const Byte> record, bool& skip);
  Result<Entry> directory_at(u64 block);
  template <class Visit>
  Result<void> each(const Entry& directory, Visit visit);
  Result<Entry> walk(std::string_view path);

  CachedMedium medium_;
  u32 block_bytes_ = 2048;
  u32 root_block_ = 0, root_bytes_ = 0;
  bool rock_ridge_ = false;
  u8 skip_ = 0;  // bytes before the Rock Ridge fields of each record (SP)
};

}  // namespace fs
