// SPDX-License-Identifier: GPL-2.0-or-later
// Reads exFAT: files with and without a cluster chain, and names compared by the volume's own
// up-case table. Verifies the checksums of boot region, table and entry sets. Sections are those of
// Microsoft's "exFAT file system specification".
#pragma once

#include "kernel/fs/runs.h"

namespace fs {

struct ExfatLayout {
  u32 sector_bytes = 0;
  u64 cluster_bytes = 0;
  u32 clusters = 0;    // numbered from 2
  u64 table_at = 0;    // byte offset of the active FAT in the volume
  u64 heap_at = 0;     // byte offset of cluster 2
  u32 root = 0;        // its first cluster
  bool dirty = false;  // not unmounted cleanly
};

// Reads the boot region at `sector` 0 (main) or 12 (backup): 12 sectors, the last of which holds
// their checksum. Returns kNotFound if there is none.
Result<ExfatLayout> read_exfat_layout(Medium& medium, u64 sector, u32 sector_bytes);

constexpr usize kExfatSlotBytes = 32, kExfatMostName = 255;
constexpr u64 kExfatMostDirectory = 256 * kMiB;  // the limit of section 7.4

// A file or directory, as its entry set describes it.
struct ExfatEntry {
  String name;
  bool directory = false;
  bool contiguous = false;  // NoFatChain: its clusters follow one another
  u32 first = 0;            // cluster
  u64 bytes = 0;            // DataLength
  u64 valid = 0;            // ValidDataLength: bytes after it read as zeros
};

// Collects the slots of one entry set: file, stream extension, names.
class ExfatSetReader {
 public:
  enum class State : u8 { kNone, kMore, kComplete, kDamaged };
  State take(const Byte* slot);
  Result<ExfatEntry> finish();  // call after kComplete
  void reset() { left_ = 0; }
  bool waiting() const { return left_ > 0; }

 private:
  void add_name(const Byte* slot);

  u32 left_ = 0;  // slots that are still to come
  u16 sum_ = 0, wanted_ = 0;
  u32 taken_ = 0;  // secondary slots so far
  usize units_given_ = 0, name_units_ = 0;
  bool sane_ = true;
  ExfatEntry entry_;
  u16 units_[18 * 15] = {};
};

class Exfat final : public FileSystem {
 public:
  static Result<base::Owner<Exfat>> mount(Medium& medium);
  explicit Exfat(Medium& medium) : medium_(medium) {}

  const char* kind() const override { return "exfat"; }
  Result<base::Owner<File>> open(std::string_view path) override;
  Result<FileInfo> stat(std::string_view path) override;
  Result<void> list(std::string_view path, DirectoryVisitor& visitor) override;
  Result<Space> space() override;

 private:
  bool usable(u32 cluster) const { return cluster >= 2 && cluster - 2 < layout_.clusters; }
  u64 cluster_at(u32 c) const { return layout_.heap_at + u64{c - 2} * layout_.cluster_bytes; }
  Result<u32> next(u32 cluster);  // 0 at the end
  Result<RunList> chain(u32 first, u64 bytes);
  Result<RunList> runs(u32 first, u64 bytes, bool contiguous);
  Result<void> read_root();
  Result<void> read_upcase(const Byte* slot);
  // Implemented in exfat_names.cpp.
  template <class Visit>
  Result<void> each(const ExfatEntry& directory, Visit visit);
  Result<ExfatEntry> walk(std::string_view path);
  u32 upper(u32 code_point) const;
  bool same_name(std::string_view a, std::string_view b) const;

  CachedMedium medium_;
  ExfatLayout layout_;
  ExfatEntry root_;
  Vector<u16> upcase_;  // indexed by UTF-16 unit; units past its end are their own upper case
  u32 bitmap_first_ = 0;
  u64 bitmap_bytes_ = 0;
};

}  // namespace fs
