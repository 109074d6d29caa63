// SPDX-License-Identifier: GPL-2.0-or-later
// Reads ext4 (and ext2, ext3): extents and block maps, 64-bit, inline data, symbolic links;
// metadata checksums are verified. Names of structures are those of Linux'
// Documentation/filesystems/ext4.
#pragma once

#include "kernel/fs/runs.h"

namespace fs {

class Ext4 final : public FileSystem {
 public:
  // Returns kUnsupported for a feature that this reader lacks; the log names it.
  static Result<base::Owner<Ext4>> mount(Medium& medium);
  explicit Ext4(Medium& medium) : medium_(medium) {}

  const char* kind() const override { return "ext4"; }
  Result<base::Owner<File>> open(std::string_view path) override;
  Result<FileInfo> stat(std::string_view path) override;
  Result<void> list(std::string_view path, DirectoryVisitor& visitor) override;
  Result<Space> space() override;

 private:
  struct Inode {
    u32 number = 0;
    u16 mode = 0;
    u32 flags = 0;
    u64 size = 0;
    u32 checksum_seed = 0;
    Vector<Byte> raw;  // the whole inode
    bool directory() const { return (mode & 0xf000) == 0x4000; }
    bool regular() const { return (mode & 0xf000) == 0x8000; }
    bool link() const { return (mode & 0xf000) == 0xa000; }
  };
  struct MapWalk {  // A walk over an inode's extent tree or block map.
    RunList runs;
    u64 next_block = 0;  // block of the file; extents must come after it
    u32 nodes_left = 1 << 20;
  };

  Result<void> read_super(Medium& medium);
  Result<void> check_features(u32 incompatible) const;
  Result<u64> inode_table(u32 group);
  Result<Inode> inode(u32 number);
  Result<RunList> runs(const Inode& inode);
  Result<void> add_extents(const Inode& inode, std::span<const Byte> node, u32 depth,
                           MapWalk& walk);
  Result<void> add_mapped(u32 block, u32 depth, MapWalk& walk);
  Result<Vector<Byte>> inline_data(const Inode& inode);
  Result<Vector<Byte>> contents(const Inode& inode, usize limit);
  template <class Visit>
  Result<void> each(const Inode& directory, Visit visit);
  template <class Visit>
  Result<bool> each_in(std::span<const Byte> block, Visit& visit);
  Result<void> check_leaf(const Inode& directory, std::span<const Byte> block) const;
  Result<u32> find(const Inode& directory, std::string_view name);
  Result<Inode> walk(std::string_view path, u32 from);

  CachedMedium medium_;
  u64 blocks_ = 0, free_blocks_ = 0;
  u32 block_bytes_ = 0, blocks_per_group_ = 0, inodes_per_group_ = 0, inodes_ = 0;
  u32 inode_bytes_ = 0, descriptor_bytes_ = 0, first_data_block_ = 0, groups_ = 0;
  u32 first_meta_group_ = 0, incompatible_ = 0, read_only_features_ = 0, seed_ = 0;
  bool checksums_ = false;
};

}  // namespace fs
