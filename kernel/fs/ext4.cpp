// SPDX-License-Identifier: GPL-2.0-or-later
// Implements ext4: the superblock, group descriptors, inodes and the location of their data.
#include "kernel/fs/ext4.h"

#include "kernel/fs/crc.h"
#include "kernel/fs/ext4_format.h"
#include "kernel/log.h"

namespace fs {
namespace {

using namespace ext4;

struct Feature {
  u32 bit;
  const char* name;
};
// Incompatible features that a reader must know, with their names. Others are refused by number.
constexpr Feature kRefused[] = {
    {0x1, "compression"},
    {0x8, "journal device"},
    {0x1000, "dirdata"},
};

u32 crc(u32 seed, std::span<const Byte> bytes) {
  return Crc32c::update(seed, bytes);
}

template <class T>
u32 crc_of(u32 seed, T value) {
  Byte bytes[sizeof(T)];
  base::store(bytes, value);
  return crc(seed, bytes);
}

}  // namespace

Result<void> Ext4::check_features(u32 incompatible) const {
  for (const Feature& f : kRefused) {
    if ((incompatible & f.bit) == 0) continue;
    log::warn("ext4", "this file system uses {}, which this reader lacks", f.name);
    return fail(Errc::kUnsupported, "an ext4 feature that this reader lacks");
  }
  if ((incompatible & ~kReadable) != 0) {
    log::warn("ext4", "unknown features {:#x}", incompatible & ~kReadable);
    return fail(Errc::kUnsupported, "an ext4 feature that this reader lacks");
  }
  if ((incompatible & kRecover) != 0)
    log::warn("ext4", "it was not unmounted cleanly: its journal is not replayed");
  return {};
}

Result<void> Ext4::read_super(Medium& medium) {
  Byte s[1024];
  TRY(medium.read(1024, s));
  if (base::load<u16>(s + 56) != 0xef53) return fail(Errc::kNotFound, "no ext4 superblock");
  incompatible_ = base::load<u32>(s + 96);
  read_only_features_ = base::load<u32>(s + 100);
  TRY(check_features(incompatible_));
  checksums_ = (read_only_features_ & kMetadataChecksums) != 0;
  if (checksums_ && crc(~0u, std::span(s).first(1020)) != base::load<u32>(s + 1020))
    return fail(Errc::kCorrupt, "the checksum of the superblock is wrong");
  seed_ = (incompatible_ & kSeedInSuper) != 0 ? base::load<u32>(s + 0x270)
                                              : crc(~0u, std::span(s).subspan(104, 16));
  u32 shift = base::load<u32>(s + 24);
  if (shift > 6) return fail(Errc::kCorrupt, "an ext4 block size out of range");
  block_bytes_ = 1024u << shift;
  bool wide = (incompatible_ & k64Bit) != 0;
  blocks_ = base::load<u32>(s + 4) | (wide ? u64{base::load<u32>(s + 0x150)} << 32 : 0);
  free_blocks_ = base::load<u32>(s + 12) | (wide ? u64{base::load<u32>(s + 0x158)} << 32 : 0);
  first_data_block_ = base::load<u32>(s + 20);
  blocks_per_group_ = base::load<u32>(s + 32);
  inodes_ = base::load<u32>(s);
  inodes_per_group_ = base::load<u32>(s + 40);
  bool dynamic = base::load<u32>(s + 76) >= 1;
  inode_bytes_ = dynamic ? base::load<u16>(s + 88) : 128;
  descriptor_bytes_ = wide ? base::load<u16>(s + 254) : 32;
  first_meta_group_ = base::load<u32>(s + 0x104);
  if (blocks_ > medium.size() / block_bytes_)
    return fail(Errc::kCorrupt, "its ext4 is larger than the disk: the image was cut short");
  bool sane = blocks_ > first_data_block_ && blocks_per_group_ > 0 && inodes_per_group_ > 0 &&
              base::is_power_of_two(inode_bytes_) && inode_bytes_ >= 128 &&
              inode_bytes_ <= block_bytes_ && base::is_power_of_two(descriptor_bytes_) &&
              descriptor_bytes_ >= 32 && descriptor_bytes_ <= 1024;
  if (!sane) return fail(Errc::kCorrupt, "an ext4 superblock that contradicts itself");
  u64 groups = (blocks_ - first_data_block_ + blocks_per_group_ - 1) / blocks_per_group_;
  if (groups > ~u32{0}) return fail(Errc::kCorrupt, "too many block groups");
  groups_ = static_cast<u32>(groups);
  return {};
}

Result<base::Owner<Ext4>> Ext4::mount(Medium& medium) {
  if (medium.size() < 4096) return fail(Errc::kNotFound, "no ext4 superblock");
  auto ext4 = TRY(base::make<Ext4>(medium));
  TRY(ext4->read_super(medium));
  TRY(ext4->medium_.init());
  Inode root = TRY(ext4->inode(kRootInode));
  if (!root.directory()) return fail(Errc::kCorrupt, "the ext4 root is no directory");
  return ext4;
}

Result<Space> Ext4::space() {
  return Space{blocks_ * block_bytes_, free_blocks_ * block_bytes_};
}

// Returns the block where the inodes of `group` begin.
Result<u64> Ext4::inode_table(u32 group) {
  u32 per_block = block_bytes_ / descriptor_bytes_;
  u64 meta = group / per_block;
  u64 block = first_data_block_ + 1 + meta;
  if ((incompatible_ & kMetaGroups) != 0 && meta >= first_meta_group_) {
    // Descriptors are in the first group of their meta group, after its superblock if it has one.
    u64 first = meta * per_block;
    auto power_of = [](u64 n, u64 b) {
      while (n > 1 && n % b == 0) n /= b;
      return n == 1;
    };
    bool sparse = (read_only_features_ & kSparseSuper) != 0;
    bool has_super =
        !sparse || first <= 1 || power_of(first, 3) || power_of(first, 5) || power_of(first, 7);
    block = first * blocks_per_group_ + first_data_block_ + (has_super ? 1 : 0);
  }
  Vector<Byte> d;
  TRY(d.resize(descriptor_bytes_));
  TRY(medium_.read(block * block_bytes_ + u64{group % per_block} * descriptor_bytes_, d.view()));
  u64 table = base::load<u32>(d.data() + 8);
  if (descriptor_bytes_ >= 64) table |= u64{base::load<u32>(d.data() + 0x28)} << 32;
  u16 wanted = base::load<u16>(d.data() + 0x1e);
  base::store<u16>(d.data() + 0x1e, 0);
  if (checksums_ && static_cast<u16>(crc(crc_of<u32>(seed_, group), d.view())) != wanted)
    return fail(Errc::kCorrupt, "the checksum of a group descriptor is wrong");
  return table;
}

Result<Ext4::Inode> Ext4::inode(u32 number) {
  if (number == 0 || number > inodes_) return fail(Errc::kCorrupt, "an inode out of range");
  u32 group = (number - 1) / inodes_per_group_, index = (number - 1) % inodes_per_group_;
  if (group >= groups_) return fail(Errc::kCorrupt, "an inode out of range");
  u64 table = TRY(inode_table(group));
  if (table >= blocks_) return fail(Errc::kCorrupt, "an inode table out of range");
  Inode i;
  i.number = number;
  TRY(i.raw.resize(inode_bytes_));
  TRY(medium_.read(table * block_bytes_ + u64{index} * inode_bytes_, i.raw.view()));
  Byte* raw = i.raw.data();
  i.mode = base::load<u16>(raw);
  i.flags = base::load<u32>(raw + 32);
  i.size = base::load<u32>(raw + 4);
  if (i.regular() || i.directory()) i.size |= u64{base::load<u32>(raw + 108)} << 32;
  i.checksum_seed = crc_of<u32>(crc_of<u32>(seed_, number), base::load<u32>(raw + 100));
  if (checksums_) {
    bool both = inode_bytes_ > 128 && base::load<u16>(raw + 128) >= 4;
    u32 wanted = base::load<u16>(raw + 0x7c);
    base::store<u16>(raw + 0x7c, 0);
    if (both) wanted |= u32{base::load<u16>(raw + 0x82)} << 16, base::store<u16>(raw + 0x82, 0);
    u32 actual = crc(i.checksum_seed, i.raw.view());
    if ((both ? actual : actual & 0xffff) != wanted)
      return fail(Errc::kCorrupt, "the checksum of an inode is wrong");
  }
  if ((i.flags & kEncrypted) != 0) return fail(Errc::kUnsupported, "the file is encrypted");
  return i;
}

// Reads one node of an extent tree: struct ext4_extent_header and its entries.
Result<void> Ext4::add_extents(const Inode& inode, std::span<const Byte> node, u32 depth,
                               MapWalk& walk) {
  if (walk.nodes_left-- == 0) return fail(Errc::kCorrupt, "an extent tree without end");
  u32 entries = base::load<u16>(node.data() + 2);
  bool sane = base::load<u16>(node.data()) == 0xf30a && entries <= (node.size() - 12) / 12 &&
              base::load<u16>(node.data() + 6) == depth;
  if (!sane) return fail(Errc::kCorrupt, "an extent node that contradicts itself");
  Vector<Byte> child;
  for (u32 n = 0; n < entries; n++) {
    const Byte* e = node.data() + 12 + usize{n} * 12;
    u64 at = base::load<u32>(e);
    if (at < walk.next_block) return fail(Errc::kCorrupt, "extents out of order");
    if (depth == 0) {
      u32 length = base::load<u16>(e + 4);
      u64 start = u64{base::load<u16>(e + 6)} << 32 | base::load<u32>(e + 8);
      bool written = length <= kMostExtent;
      if (!written) length -= kMostExtent;
      if (length == 0 || start >= blocks_ || length > blocks_ - start)
        return fail(Errc::kCorrupt, "an extent out of range");
      walk.next_block = at + length;
      u64 bytes = u64{length} * block_bytes_;
      if (written) TRY(walk.runs.add({at * block_bytes_, start * block_bytes_, bytes}));
      continue;
    }
    u64 block = u64{base::load<u16>(e + 8)} << 32 | base::load<u32>(e + 4);
    if (block >= blocks_) return fail(Errc::kCorrupt, "an extent node out of range");
    TRY(child.resize(block_bytes_));
    TRY(medium_.read(block * block_bytes_, child.view()));
    usize tail = 12 + usize{base::load<u16>(child.data() + 4)} * 12;
    if (checksums_ &&
        (tail + 4 > child.size() || crc(inode.checksum_seed, child.view().first(tail)) !=
                                        base::load<u32>(child.data() + tail)))
      return fail(Errc::kCorrupt, "the checksum of an extent node is wrong");
    TRY(add_extents(inode, child.view(), depth - 1, walk));
  }
  return {};
}

// Reads ext2's block map: a block number, or a block of block numbers `depth` levels deep. 0 is a
// hole.
Result<void> Ext4::add_mapped(u32 block, u32 depth, MapWalk& walk) {
  u64 covers = 1;
  for (u32 d = 0; d < depth; d++) covers *= block_bytes_ / 4;
  if (block == 0) {
    walk.next_block += covers;
    return {};
  }
  if (block >= blocks_) return fail(Errc::kCorrupt, "a file block out of range");
  if (depth == 0) {
    u64 at = walk.next_block++ * block_bytes_;
    return walk.runs.add({at, u64{block} * block_bytes_, block_bytes_});
  }
  if (walk.nodes_left-- == 0) return fail(Errc::kCorrupt, "a block map without end");
  Vector<Byte> map;
  TRY(map.resize(block_bytes_));
  TRY(medium_.read(u64{block} * block_bytes_, map.view()));
  for (usize i = 0; i < map.size(); i += 4)
    TRY(add_mapped(base::load<u32>(map.data() + i), depth - 1, walk));
  return {};
}

Result<RunList> Ext4::runs(const Inode& inode) {
  auto map = inode.raw.view().subspan(kMapAt, kMapBytes);
  MapWalk walk;
  if ((inode.flags & kExtents) != 0) {
    u32 depth = base::load<u16>(map.data() + 6);
    if (depth > kMostDepth) return fail(Errc::kCorrupt, "an extent tree too deep");
    TRY(add_extents(inode, map, depth, walk));
    return std::move(walk.runs);
  }
  u64 needed = (inode.size + block_bytes_ - 1) / block_bytes_;
  for (u32 i = 0; i < 15 && walk.next_block < needed; i++)
    TRY(add_mapped(base::load<u32>(map.data() + i * 4), i < 12 ? 0 : i - 11, walk));
  return std::move(walk.runs);
}

// Returns the data that the inode itself holds: first in the map's room, then in the attribute
// "system.data".
Result<Vector<Byte>> Ext4::inline_data(const Inode& inode) {
  Vector<Byte> data;
  TRY(data.append(inode.raw.view().subspan(kMapAt, kMapBytes)));
  usize start = 128 + (inode_bytes_ > 128 ? base::load<u16>(inode.raw.data() + 128) : 0);
  if (start + 4 <= inode.raw.size() && base::load<u32>(inode.raw.data() + start) == 0xea020000) {
    auto area = inode.raw.view().subspan(start + 4);
    for (usize at = 0; at + 16 <= area.size() && base::load<u32>(area.data() + at) != 0;) {
      const Byte* e = area.data() + at;
      usize name = e[0];
      bool ours =
          e[1] == 7 && name == 4 && at + 20 <= area.size() && std::memcmp(e + 16, "data", 4) == 0;
      if (ours)
        TRY(data.append(TRY(base::slice(area, base::load<u16>(e + 2), base::load<u32>(e + 8)))));
      at += base::round_up(16 + name, 4);
    }
  }
  if (!inode.directory()) {
    if (inode.size > data.size()) return fail(Errc::kCorrupt, "inline data that ends early");
    data.truncate(static_cast<usize>(inode.size));
  }
  return data;
}

}  // namespace fs
