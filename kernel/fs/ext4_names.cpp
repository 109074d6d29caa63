// SPDX-License-Identifier: GPL-2.0-or-later
// Reads ext4's directories, paths and symbolic links. Hashed directories are read leaf by leaf.
#include "kernel/fs/crc.h"
#include "kernel/fs/ext4.h"
#include "kernel/fs/ext4_format.h"
#include "kernel/log.h"

namespace fs {

using namespace ext4;

// Verifies a leaf's checksum, which is in its last 12 bytes, an entry without an inode.
Result<void> Ext4::check_leaf(const Inode& directory, std::span<const Byte> block) const {
  const Byte* tail = block.data() + block.size() - 12;
  bool shaped = base::load<u32>(tail) == 0 && base::load<u16>(tail + 4) == 12 && tail[7] == 0xde;
  if (!shaped || Crc32c::update(directory.checksum_seed, block.first(block.size() - 12)) !=
                     base::load<u32>(tail + 8))
    return fail(Errc::kCorrupt, "the checksum of a directory block is wrong");
  return {};
}

// Calls visit(name, inode number); false ends the walk. Returns false if it did.
template <class Visit>
Result<bool> Ext4::each_in(std::span<const Byte> block, Visit& visit) {
  for (usize at = 0; at + 8 <= block.size();) {
    const Byte* e = block.data() + at;
    usize bytes = base::load<u16>(e + 4), name = e[6];
    // The length field cannot express 64 KiB, the size of the largest blocks.
    if (bytes == 0xffff || (bytes == 0 && block.size() == 65536)) bytes = 65536;
    if (bytes < 8 || bytes % 4 != 0 || bytes > block.size() - at || name + 8 > bytes)
      return fail(Errc::kCorrupt, "a directory entry that contradicts itself");
    u32 inode = base::load<u32>(e);
    std::string_view text(reinterpret_cast<const char*>(e) + 8, name);
    if (inode != 0 && name != 0 && !visit(text, inode)) return false;
    at += bytes;
  }
  return true;
}

template <class Visit>
Result<void> Ext4::each(const Inode& directory, Visit visit) {
  if (!directory.directory()) return fail(Errc::kNotFound, "this is not a directory");
  if ((directory.flags & kInline) != 0) {
    Vector<Byte> data = TRY(inline_data(directory));
    // The order is: the parent's number, entries up to the end of the map, then those of the
    // attribute.
    if (!visit(std::string_view(".."), base::load<u32>(data.data()))) return {};
    if (!TRY(each_in(data.view().subspan(4, kMapBytes - 4), visit))) return {};
    TRY(each_in(data.view().subspan(kMapBytes), visit));
    return {};
  }
  RunList where = TRY(runs(directory));
  Vector<Byte> block;
  TRY(block.resize(block_bytes_));
  u64 end = std::min(directory.size, where.end());
  bool indexed = (directory.flags & kIndexed) != 0;
  for (u64 at = 0; at + block_bytes_ <= end; at += block_bytes_) {
    TRY(where.read(medium_, at, block.view()));
    u32 first = base::load<u16>(block.data() + 4);
    // An inner node of the index looks like one free entry as large as the block.
    bool inner = base::load<u32>(block.data()) == 0 && (first == block_bytes_ || first == 0xffff);
    if (indexed && inner && at > 0) continue;
    bool index_root = indexed && at == 0;
    if (checksums_ && !index_root) TRY(check_leaf(directory, block.view()));
    if (!TRY(each_in(block.view(), visit))) return {};
  }
  return {};
}

Result<u32> Ext4::find(const Inode& directory, std::string_view name) {
  u32 found = 0;
  TRY(each(directory, [&](std::string_view text, u32 inode) {
    if (text == name) found = inode;
    return found == 0;
  }));
  if (found == 0) return fail(Errc::kNotFound, "no such file or directory");
  return found;
}

Result<Vector<Byte>> Ext4::contents(const Inode& inode, usize limit) {
  if (inode.size > limit) return fail(Errc::kCorrupt, "a symbolic link that is too long");
  if ((inode.flags & kInline) != 0) return inline_data(inode);
  Vector<Byte> data;
  TRY(data.resize(static_cast<usize>(inode.size)));
  RunList where = TRY(runs(inode));
  TRY(where.read(medium_, 0, data.view()));
  return data;
}

// Follows `path` from directory `from`, through symbolic links.
Result<Ext4::Inode> Ext4::walk(std::string_view path, u32 from) {
  String rest = TRY(String::from(path));
  Inode here = TRY(inode(from));
  for (u32 links = 0;;) {
    std::string_view left = rest.view();
    std::string_view name = next_name(left);
    if (name.empty()) return here;
    u32 number = TRY(find(here, name));
    Inode there = TRY(inode(number));
    String remaining = TRY(String::from(left));
    if (there.link()) {
      if (++links > kMostLinks) return fail(Errc::kCorrupt, "too many symbolic links");
      // A short target is stored in the map's room ("fast" link), so there are no extents.
      bool fast = there.size < kMapBytes && (there.flags & (kExtents | kInline)) == 0;
      Vector<Byte> target;
      if (fast) {
        TRY(target.append(there.raw.view().subspan(kMapAt, static_cast<usize>(there.size))));
      } else {
        target = TRY(contents(there, kMostLinkBytes));
      }
      std::string_view text(reinterpret_cast<const char*>(target.data()), target.size());
      if (text.starts_with('/')) here = TRY(inode(kRootInode));
      TRY(rest.assign(text));
      TRY(rest.push_back('/'));
      TRY(rest.append(remaining.view()));
      continue;
    }
    here = std::move(there);
    rest = std::move(remaining);
  }
}

Result<base::Owner<File>> Ext4::open(std::string_view path) {
  Inode found = TRY(walk(path, kRootInode));
  if (!found.regular()) return fail(Errc::kInvalidArgument, "this is no regular file");
  if ((found.flags & kInline) != 0) {
    Vector<Byte> data = TRY(inline_data(found));
    return base::Owner<File>(TRY(base::make<SmallFile>(std::move(data))));
  }
  RunList where = TRY(runs(found));
  return base::Owner<File>(TRY(base::make<RunFile>(medium_, std::move(where), found.size)));
}

Result<FileInfo> Ext4::stat(std::string_view path) {
  Inode found = TRY(walk(path, kRootInode));
  if (found.directory()) return FileInfo{FileKind::kDirectory, 0};
  return FileInfo{FileKind::kFile, found.size};
}

Result<void> Ext4::list(std::string_view path, DirectoryVisitor& visitor) {
  Inode directory = TRY(walk(path, kRootInode));
  u32 unreadable = 0;
  Error why{};
  TRY(each(directory, [&](std::string_view name, u32 number) {
    if (name == "." || name == "..") return true;
    Result<Inode> entry = inode(number);
    if (!entry.has_value()) {
      unreadable++;
      why = entry.error();
    }
    if (entry.has_value() && entry->link()) entry = walk(name, directory.number);
    // Leaves out dangling links, devices and sockets, which cannot be read.
    if (!entry.has_value() || !(entry->regular() || entry->directory())) return true;
    bool folder = entry->directory();
    visitor.on_entry(name,
                     {folder ? FileKind::kDirectory : FileKind::kFile, folder ? 0 : entry->size});
    return true;
  }));
  if (unreadable > 0)
    log::warn("fs", "a folder is shown without {} of its entries: {}", unreadable, why);
  return {};
}

}  // namespace fs
