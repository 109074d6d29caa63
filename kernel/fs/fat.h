// SPDX-License-Identifier: GPL-2.0-or-later
// FAT12, FAT16 and FAT32 with long names. All can be read, and FAT32 can be written. Sections are
// those of Microsoft's "FAT: General Overview of On-Disk Format" 1.03.
#pragma once

#include "kernel/fs/runs.h"

namespace fs {

struct FatLayout {
  u32 bits = 0;  // 12, 16 or 32
  u32 sector_bytes = 0;
  u32 cluster_bytes = 0;
  u32 clusters = 0;     // of data; numbered from 2
  u32 copies = 0;       // copies of the table
  u64 table_at = 0;     // byte offset in the volume
  u64 table_bytes = 0;  // per copy
  u64 root_at = 0;      // FAT12 and FAT16: the fixed root directory
  u64 root_bytes = 0;
  u64 data_at = 0;
  u32 root_cluster = 0;  // FAT32
  u64 info_at = 0;       // FAT32: the FSInfo sector; 0 = none
};

Result<FatLayout> parse_fat_layout(std::span<const Byte> sector, u64 medium_bytes);

struct FatEntry {
  String name;
  u8 attributes = 0;
  u32 first_cluster = 0;
  u32 size = 0;
  u64 first_slot = 0;   // byte offset of the entry's first slot in the directory
  Byte alias[11] = {};  // the short name as stored on the disk
  u64 short_slot = 0;   // byte offset of its last slot, which has the cluster and the size
  bool directory() const { return (attributes & 0x10) != 0; }
};

class Fat final : public FileSystem {
 public:
  static Result<base::Owner<Fat>> mount(Medium& medium);
  explicit Fat(Medium& medium) : medium_(medium) {}

  const char* kind() const override;
  bool writable() const override { return need_writable().has_value(); }
  Result<base::Owner<File>> open(std::string_view path) override;
  Result<FileInfo> stat(std::string_view path) override;
  Result<void> list(std::string_view path, DirectoryVisitor& visitor) override;
  Result<base::Owner<File>> create(std::string_view path) override;
  Result<void> remove(std::string_view path) override;
  Result<void> make_directory(std::string_view path) override;
  Result<Space> space() override;

 private:
  friend class FatFile;
  static constexpr u32 kEnd = 0x0fffffff;
  static constexpr u64 kMostDirectoryBytes = 65536 * 32;

  struct Directory {
    RunList runs;
    u64 bytes = 0;
    u32 first_cluster = 0;  // 0: the fixed root directory
  };

  // ---- reading (fat.cpp)
  bool usable(u32 cluster) const { return cluster >= 2 && cluster - 2 < layout_.clusters; }
  u64 cluster_at(u32 c) const { return layout_.data_at + u64{c - 2} * layout_.cluster_bytes; }
  Result<u32> next(u32 cluster);  // returns kEnd at the end of the chain
  Result<u32> raw_entry(u32 cluster);
  Result<RunList> chain(u32 first, u64 most_bytes);
  Result<Directory> root();
  Result<Directory> directory_of(const FatEntry& entry);
  template <class Visit>
  Result<void> each(const Directory& directory, Visit visit);
  Result<FatEntry> find(const Directory& directory, std::string_view name);
  Result<FatEntry> walk(std::string_view path);  // never the root
  Result<Directory> walk_directory(std::string_view path);

  // ---- the tables (fat_write.cpp) and directories (fat_names.cpp)
  struct Extent {
    u32 first = 0, count = 0;  // in clusters
  };
  Result<void> need_writable() const;
  Result<void> set_entry(u32 cluster, u32 value);
  // Allocates up to `most` consecutive clusters and chains them after `after`, unless that is 0.
  Result<Extent> allocate(u32 after, u32 most);
  Result<void> free_chain(u32 first);
  Result<void> store_info();
  Result<void> write_slot(const Directory& directory, u64 slot, std::span<const Byte> bytes);
  Result<u64> find_room(Directory& directory, u32 slots);
  Result<void> extend(Directory& directory);
  Result<FatEntry> add_entry(Directory& directory, std::string_view name, u8 attributes,
                             u32 first_cluster);
  Result<void> choose_alias(const Directory& directory, std::string_view name, Byte* alias);
  Result<bool> alias_taken(const Directory& directory, const Byte* alias);
  Result<void> erase_entry(const Directory& directory, const FatEntry& entry);
  Result<void> zero_cluster(u32 cluster);
  Result<base::Owner<File>> open_entry(const Directory& parent, const FatEntry& entry);

  CachedMedium medium_;
  FatLayout layout_;
  Turn turn_;          // lets one thread write at a time
  u32 free_ = ~0u;     // free clusters; ~0 = not counted yet
  u32 next_free_ = 2;  // where the next search begins
};

}  // namespace fs
