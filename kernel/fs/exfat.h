// SPDX-License-Identifier: GPL-2.0-or-later
// exFAT, read and written: files with and without a cluster chain, names compared by the volume's
// own up-case table, checksums of boot region, table and entry sets. Sections are those of
// Microsoft's "exFAT file system specification".
//
// A power cut loses at most what was not flushed. Clusters are marked in the bitmap, data is
// written and the disk flushed before an entry set names them; a set lies in one sector, so that it
// is written whole or not at all. Removal runs in the other order. What remains of an interrupted
// write are clusters that nobody uses: the volume is marked dirty meanwhile, and the first write
// after the next mount frees them (exfat_mend.cpp).
#pragma once

#include "kernel/fs/exfat_bitmap.h"
#include "kernel/fs/exfat_sets.h"

namespace fs {

struct ExfatLayout {
  u32 sector_bytes = 0;
  u64 cluster_bytes = 0;
  u32 clusters = 0;     // numbered from 2
  u32 tables = 0;       // 2: TexFAT
  u64 table_at = 0;     // byte offset of the active FAT in the volume
  u64 heap_at = 0;      // byte offset of cluster 2
  u32 root = 0;         // its first cluster
  bool dirty = false;   // not unmounted cleanly
  bool backup = false;  // the main boot region is broken
};

// Reads the boot region at `sector` 0 (main) or 12 (backup): 12 sectors, the last of which holds
// their checksum. Returns kNotFound if there is none.
Result<ExfatLayout> read_exfat_layout(Medium& medium, u64 sector, u32 sector_bytes);

constexpr u64 kExfatMostDirectory = 256 * kMiB;  // the limit of section 7.4

class ExfatFile;

class Exfat final : public FileSystem {
 public:
  static Result<base::Owner<Exfat>> mount(Medium& medium);
  explicit Exfat(Medium& medium) : medium_(medium) {}

  const char* kind() const override { return "exfat"; }
  bool writable() const override { return may_write().has_value(); }
  Result<base::Owner<File>> open(std::string_view path) override;
  Result<FileInfo> stat(std::string_view path) override;
  Result<void> list(std::string_view path, DirectoryVisitor& visitor) override;
  // The file appears, or replaces the one of its name, at its first flush().
  Result<base::Owner<File>> create(std::string_view path) override;
  Result<void> remove(std::string_view path) override;
  Result<void> make_directory(std::string_view path) override;
  Result<Space> space() override;

 private:
  friend class ExfatFile;

  // ---- reading (exfat.cpp)
  bool usable(u32 cluster) const { return cluster >= 2 && cluster - 2 < layout_.clusters; }
  u64 cluster_at(u32 c) const { return layout_.heap_at + u64{c - 2} * layout_.cluster_bytes; }
  u64 clusters_of(u64 bytes) const {
    return bytes / layout_.cluster_bytes + (bytes % layout_.cluster_bytes != 0 ? 1 : 0);
  }
  Result<u32> next(u32 cluster);  // 0 at the end
  Result<RunList> chain(u32 first, u64 bytes);
  Result<RunList> runs(const ExfatChain& where);
  Result<void> read_root();
  Result<void> read_upcase(const Byte* slot);

  // ---- names (exfat_names.cpp)
  template <class Visit>
  Result<void> scan(const ExfatChain& folder, Visit visit);
  template <class Visit>
  Result<void> each(const ExfatEntry& directory, Visit visit);
  ExfatEntry root_entry() const;
  Result<ExfatEntry> find(const ExfatEntry& directory, std::string_view name);
  Result<ExfatEntry> walk(std::string_view path);
  u32 upper(u32 code_point) const;
  bool same_name(std::string_view a, std::string_view b) const;
  u16 name_hash(std::span<const u16> units) const;

  // ---- clusters (exfat_write.cpp)
  Result<void> may_write() const;
  // Reads the bitmap, mends what a power cut left, and marks the volume dirty. Called with the
  // turn, before anything is written.
  Result<void> begin();
  // Flushes, and marks the volume clean if no file has clusters that are not in its entry set.
  Result<void> settle();
  Result<void> load_bitmap();
  Result<void> store_flags(bool dirty);
  Result<void> link(ExfatExtent extent, u32 then);
  Result<void> finish(Result<void> done);
  Result<void> free_runs(std::span<const Run> runs);
  Result<void> zero(u32 cluster);
  Result<void> mend();  // exfat_mend.cpp
  Result<void> mark(Vector<Byte>& seen, const ExfatChain& where);
  Result<void> mark_folder(Vector<Byte>& seen, const ExfatChain& where,
                           Vector<ExfatChain>& folders);

  // ---- entry sets (exfat_folder.cpp)
  Result<void> store_set(const ExfatEntry& entry, ExfatSet& set);
  Result<ExfatSet> load_set(const ExfatEntry& entry);
  Result<void> update(ExfatEntry& entry, const ExfatChain& where, u64 valid);
  Result<ExfatEntry> add(ExfatEntry parent, ExfatEntry entry);
  Result<u64> find_room(ExfatEntry& directory, u32 slots);
  Result<void> clear_room(const ExfatEntry& directory, u64 mark, u64 room, u64 bytes);
  Result<void> grow(ExfatEntry& directory);
  Result<void> need_closed(const ExfatEntry& entry) const;
  Result<void> need_replaceable(const ExfatEntry& entry) const;

  CachedMedium medium_;
  ExfatLayout layout_;
  ExfatChain root_, bitmap_at_, upcase_at_;
  Vector<u16> upcase_;  // indexed by UTF-16 unit; units past its end are their own upper case
  Turn turn_;           // lets one thread write at a time
  ExfatBitmap bitmap_;
  bool marked_ = false;        // the disk says that the volume is dirty
  u32 unsettled_ = 0;          // files with clusters that are not in their entry sets
  ExfatFile* open_ = nullptr;  // the list of open files
};

}  // namespace fs
