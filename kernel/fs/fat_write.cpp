// SPDX-License-Identifier: GPL-2.0-or-later
// Implements FAT files, and the writing of FAT32: clusters, both tables, FSInfo.
//
// Order of writes: clusters are chained before data is written to them, and before the directory
// entry counts them. An interrupted write can lose clusters, but never damages other files.
#include "kernel/fs/fat_each.h"

namespace fs {

constexpr u32 kInfoFree = 488, kInfoNext = 492;
constexpr u32 kMostAtOnce = 1024;  // clusters that one write of the table can chain

Result<void> Fat::need_writable() const {
  if (layout_.bits != 32) return fail(Errc::kUnsupported, kOnlyRead);
  if (!medium_.writable())
    return fail(Errc::kPermission, "the disk is read-only: use another disk");
  return {};
}

Result<void> Fat::set_entry(u32 cluster, u32 value) {
  Byte bytes[4];
  u64 at = layout_.table_at + u64{cluster} * 4;
  TRY(medium_.read(at, bytes));
  u32 kept = base::load<u32>(bytes) & 0xf0000000;  // section 4: the top four bits must be kept
  base::store<u32>(bytes, kept | value);
  for (u32 copy = 0; copy < layout_.copies; copy++)
    TRY(medium_.write(at + copy * layout_.table_bytes, bytes));
  return {};
}

Result<Fat::Extent> Fat::allocate(u32 after, u32 most) {
  TRY(space());  // counts the free clusters on its first call
  if (free_ == 0) return fail(Errc::kFull, "the disk is full: delete files");
  most = std::min({most, kMostAtOnce, free_});
  Extent e;
  u32 c = usable(after) && usable(after + 1) ? after + 1 : next_free_;
  for (u32 steps = 0; steps < layout_.clusters && e.count < most; steps++, c++) {
    if (!usable(c)) {
      if (e.count > 0) break;
      c = 2;
    }
    if (TRY(raw_entry(c)) != 0) {
      if (e.count > 0) break;
      continue;
    }
    if (e.count == 0) e.first = c;
    e.count++;
  }
  if (e.count == 0) return fail(Errc::kFull, "the disk is full: delete files");
  Vector<Byte> links;
  TRY(links.resize(usize{e.count} * 4));
  for (u32 i = 0; i < e.count; i++)
    base::store<u32>(links.data() + usize{i} * 4, i + 1 < e.count ? e.first + i + 1 : kEnd);
  for (u32 copy = 0; copy < layout_.copies; copy++)
    TRY(medium_.write(layout_.table_at + copy * layout_.table_bytes + u64{e.first} * 4,
                      links.view()));
  if (after != 0) TRY(set_entry(after, e.first));
  free_ -= e.count;
  next_free_ = e.first + e.count;
  return e;
}

Result<void> Fat::free_chain(u32 first) {
  ChainWatch watch;
  for (u32 c = first; c != kEnd;) {
    if (!usable(c)) return fail(Errc::kCorrupt, "a cluster chain leaves the volume");
    u32 following = TRY(raw_entry(c));
    if (following == 0) break;  // free already: the chain is a ring
    TRY(watch.visit(c));
    TRY(set_entry(c, 0));
    if (free_ != ~0u) free_++;
    c = following >= 0x0ffffff8 ? kEnd : following;
  }
  return {};
}

Result<void> Fat::store_info() {
  if (layout_.info_at == 0) return {};
  Byte sector[512];
  TRY(medium_.read(layout_.info_at, sector));
  if (base::load<u32>(sector) != 0x41615252 || base::load<u32>(sector + 484) != 0x61417272)
    return {};  // there is no valid FSInfo
  base::store<u32>(sector + kInfoFree, free_);
  base::store<u32>(sector + kInfoNext, usable(next_free_) ? next_free_ : 2);
  return medium_.write(layout_.info_at, sector);
}

Result<void> Fat::zero_cluster(u32 cluster) {
  Vector<Byte> zeros;
  TRY(zeros.resize(layout_.cluster_bytes));
  return medium_.write(cluster_at(cluster), zeros.view());
}

// A file as it was when it was opened. Other Files see what is written through this one if they are
// opened later.
class FatFile final : public File {
 public:
  FatFile(Fat& fat, RunList runs, const FatEntry& entry, u64 slot)
      : fat_(fat),
        runs_(std::move(runs)),
        first_(entry.first_cluster),
        size_(entry.size),
        slot_(slot) {}
  u64 size() const override { return size_; }
  Result<usize> read_at(u64 offset, std::span<Byte> out) override {
    if (offset >= size_) return usize{0};
    usize part = static_cast<usize>(std::min<u64>(out.size(), size_ - offset));
    TRY(runs_.read(fat_.medium_, offset, out.first(part)));
    return part;
  }
  Result<usize> write_at(u64 offset, std::span<const Byte> in) override;
  Result<void> truncate(u64 bytes) override;
  Result<void> flush() override {
    TurnGuard guard(fat_.turn_);
    TRY(fat_.store_info());
    return fat_.medium_.flush();
  }

 private:
  u32 last_cluster() const;
  Result<void> grow(u64 bytes);
  Result<void> cut(u64 bytes);
  Result<void> store_entry();

  Fat& fat_;
  RunList runs_;
  u32 first_;
  u64 size_;
  u64 slot_;  // byte offset in the medium
};

u32 FatFile::last_cluster() const {
  if (runs_.view().empty()) return 0;
  const Run& last = runs_.view().back();
  u64 end = last.offset + last.bytes - fat_.layout_.data_at;
  return static_cast<u32>(end / fat_.layout_.cluster_bytes) + 1;
}

Result<void> FatFile::grow(u64 bytes) {
  u32 each = fat_.layout_.cluster_bytes;
  while (runs_.end() < bytes) {
    u64 wanted = (bytes - runs_.end() + each - 1) / each;
    Fat::Extent e = TRY(fat_.allocate(last_cluster(), static_cast<u32>(wanted)));
    if (first_ == 0) first_ = e.first;
    TRY(runs_.add({runs_.end(), fat_.cluster_at(e.first), u64{e.count} * each}));
  }
  return {};
}

// Frees the clusters that the first `bytes` do not need. The entry no longer counts them.
Result<void> FatFile::cut(u64 bytes) {
  if (runs_.end() == 0) return {};
  if (bytes == 0) {
    u32 chain = std::exchange(first_, 0);
    runs_ = {};
    TRY(store_entry());
    return fat_.free_chain(chain);
  }
  RunList kept = TRY(fat_.chain(first_, bytes));
  if (kept.end() == runs_.end()) return {};
  runs_ = std::move(kept);
  u32 last = last_cluster();
  u32 rest = TRY(fat_.next(last));
  TRY(fat_.set_entry(last, Fat::kEnd));
  return fat_.free_chain(rest);
}

Result<void> FatFile::store_entry() {
  Byte slot[kFatSlotBytes];
  TRY(fat_.medium_.read(slot_, slot));
  base::store<u16>(slot + 20, static_cast<u16>(first_ >> 16));
  base::store<u16>(slot + 26, static_cast<u16>(first_));
  base::store<u32>(slot + 28, static_cast<u32>(size_));
  return fat_.medium_.write(slot_, slot);
}

Result<usize> FatFile::write_at(u64 offset, std::span<const Byte> in) {
  TRY(fat_.need_writable());
  if (in.empty()) return usize{0};
  u64 end = TRY(base::checked_add(offset, in.size()));
  if (end > ~u32{0}) return fail(Errc::kOutOfRange, "FAT32 holds files below 4 GiB");
  if (offset > size_) TRY(truncate(offset));
  TurnGuard guard(fat_.turn_);
  Result<void> grown = grow(end);
  if (!grown.has_value()) {
    TRY(cut(size_));
    TRY(fat_.store_info());
    return std::unexpected(grown.error());
  }
  TRY(runs_.write(fat_.medium_, offset, in));
  if (end > size_) {
    size_ = end;
    TRY(store_entry());
  }
  return in.size();
}

Result<void> FatFile::truncate(u64 bytes) {
  TRY(fat_.need_writable());
  if (bytes > ~u32{0}) return fail(Errc::kOutOfRange, "FAT32 holds files below 4 GiB");
  if (bytes > size_) {  // FAT has no holes
    Vector<Byte> zeros;
    TRY(zeros.resize(64 * 1024));
    while (size_ < bytes) {
      usize part = static_cast<usize>(std::min<u64>(zeros.size(), bytes - size_));
      TRY(write_at(size_, zeros.view().first(part)));
    }
    return {};
  }
  TurnGuard guard(fat_.turn_);
  size_ = bytes;
  TRY(store_entry());
  TRY(cut(bytes));
  return fat_.store_info();
}

Result<base::Owner<File>> Fat::open_entry(const Directory& parent, const FatEntry& entry) {
  if (entry.directory()) return fail(Errc::kInvalidArgument, "this is a directory");
  if (entry.size > u64{layout_.clusters} * layout_.cluster_bytes)
    return fail(Errc::kCorrupt, "a file larger than its volume");
  RunList runs;
  if (entry.size > 0) runs = TRY(chain(entry.first_cluster, entry.size));
  if (runs.end() < entry.size) return fail(Errc::kCorrupt, "the file's cluster chain ends early");
  u64 slot = 0;
  for (const Run& run : parent.runs.view())
    if (entry.short_slot >= run.at && entry.short_slot < run.at + run.bytes)
      slot = run.offset + (entry.short_slot - run.at);
  return base::Owner<File>(TRY(base::make<FatFile>(*this, std::move(runs), entry, slot)));
}

Result<base::Owner<File>> Fat::open(std::string_view path) {
  usize slash = path.rfind('/');
  bool deep = slash != std::string_view::npos;
  Directory parent = TRY(walk_directory(deep ? path.substr(0, slash) : ""));
  FatEntry entry = TRY(find(parent, deep ? path.substr(slash + 1) : path));
  return open_entry(parent, entry);
}

}  // namespace fs
