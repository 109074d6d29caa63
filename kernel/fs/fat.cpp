// SPDX-License-Identifier: GPL-2.0-or-later
// Implements reading of FAT: layout, cluster chains, directories, files.
#include "kernel/fs/fat.h"

#include "kernel/fs/fat_each.h"

namespace fs {

Result<FatLayout> parse_fat_layout(std::span<const Byte> s, u64 medium_bytes) {
  if (s.size() < 512 || base::load<u16>(s.data() + 510) != 0xaa55 || (s[0] != 0xeb && s[0] != 0xe9))
    return fail(Errc::kNotFound, "no FAT boot sector");
  FatLayout l;
  l.sector_bytes = base::load<u16>(s.data() + 11);
  u32 per_cluster = s[13], reserved = base::load<u16>(s.data() + 14);
  l.copies = s[16];
  u32 root_entries = base::load<u16>(s.data() + 17);
  u32 table16 = base::load<u16>(s.data() + 22), table32 = base::load<u32>(s.data() + 36);
  u64 sectors = base::load<u16>(s.data() + 19);
  if (sectors == 0) sectors = base::load<u32>(s.data() + 32);
  bool sane = base::is_power_of_two(l.sector_bytes) && l.sector_bytes >= 512 &&
              l.sector_bytes <= 4096 && base::is_power_of_two(per_cluster) && reserved > 0 &&
              (l.copies == 1 || l.copies == 2) && (table16 != 0 || table32 != 0);
  if (!sane) return fail(Errc::kNotFound, "no FAT boot sector");
  l.cluster_bytes = per_cluster * l.sector_bytes;
  l.table_at = u64{reserved} * l.sector_bytes;
  l.table_bytes = u64{table16 != 0 ? table16 : table32} * l.sector_bytes;
  l.root_at = l.table_at + l.copies * l.table_bytes;
  l.root_bytes = base::round_up(u64{root_entries} * 32, l.sector_bytes);
  l.data_at = l.root_at + l.root_bytes;
  u64 bytes = sectors * l.sector_bytes;
  if (bytes > medium_bytes || l.data_at >= bytes)
    return fail(Errc::kCorrupt, "the FAT volume is larger than its disk");
  u64 clusters = (bytes - l.data_at) / l.cluster_bytes;
  l.bits = table16 == 0 ? 32 : clusters < 4085 ? 12 : 16;
  // If the table is too small for the volume, clusters that it does not describe do not exist.
  u64 described = l.table_bytes * 8 / l.bits;
  if (clusters == 0 || described < 3 || clusters > 0x0ffffff5)
    return fail(Errc::kCorrupt, "a FAT volume without clusters");
  l.clusters = static_cast<u32>(std::min(clusters, described - 2));
  if (l.bits == 32) {
    l.root_cluster = base::load<u32>(s.data() + 44);
    u32 info = base::load<u16>(s.data() + 48);
    if (info != 0 && info < reserved) l.info_at = u64{info} * l.sector_bytes;
  }
  return l;
}

Result<base::Owner<Fat>> Fat::mount(Medium& medium) {
  Byte sector[512];
  TRY(medium.read(0, sector));
  FatLayout layout = TRY(parse_fat_layout(sector, medium.size()));
  auto fat = TRY(base::make<Fat>(medium));
  fat->layout_ = layout;
  TRY(fat->medium_.init());
  TRY(fat->root());
  return fat;
}

const char* Fat::kind() const {
  return layout_.bits == 12 ? "fat12" : layout_.bits == 16 ? "fat16" : "fat32";
}

Result<u32> Fat::raw_entry(u32 cluster) {
  Byte bytes[4] = {};
  if (layout_.bits == 12) {
    TRY(medium_.read(layout_.table_at + cluster + cluster / 2, std::span(bytes).first(2)));
    u32 pair = base::load<u16>(bytes);
    return cluster % 2 == 0 ? pair & 0xfff : pair >> 4;
  }
  usize width = layout_.bits / 8;
  TRY(medium_.read(layout_.table_at + u64{cluster} * width, std::span(bytes).first(width)));
  return base::load<u32>(bytes) & 0x0fffffff;
}

Result<u32> Fat::next(u32 cluster) {
  u32 value = TRY(raw_entry(cluster));
  u32 end = layout_.bits == 12 ? 0xff8 : layout_.bits == 16 ? 0xfff8 : 0x0ffffff8;
  if (value >= end) return kEnd;
  if (!usable(value)) return fail(Errc::kCorrupt, "a cluster chain leaves the volume");
  return value;
}

// Returns the runs of at most `most_bytes` (rounded up to clusters) of the chain from `first`.
Result<RunList> Fat::chain(u32 first, u64 most_bytes) {
  RunList runs;
  ChainWatch watch;
  for (u32 c = first; c != kEnd && runs.end() < most_bytes;) {
    if (!usable(c)) return fail(Errc::kCorrupt, "a cluster chain leaves the volume");
    TRY(watch.visit(c));
    TRY(runs.add({runs.end(), cluster_at(c), layout_.cluster_bytes}));
    if (runs.end() >= most_bytes) break;
    c = TRY(next(c));
  }
  return runs;
}

Result<Fat::Directory> Fat::root() {
  Directory d;
  if (layout_.bits == 32) {
    d.first_cluster = layout_.root_cluster;
    d.runs = TRY(chain(layout_.root_cluster, kMostDirectoryBytes));
  } else {
    TRY(d.runs.add({0, layout_.root_at, layout_.root_bytes}));
  }
  d.bytes = d.runs.end();
  return d;
}

Result<Fat::Directory> Fat::directory_of(const FatEntry& entry) {
  if (!entry.directory()) return fail(Errc::kNotFound, "this is not a directory");
  Directory d;
  d.first_cluster = entry.first_cluster;
  d.runs = TRY(chain(entry.first_cluster, kMostDirectoryBytes));
  d.bytes = d.runs.end();
  return d;
}

Result<FatEntry> Fat::find(const Directory& directory, std::string_view name) {
  FatEntry found;
  bool hit = false;
  TRY(each(directory, [&](FatEntry& entry) {
    if (!equal_ignoring_case(entry.name.view(), name)) return true;
    found = std::move(entry);
    hit = true;
    return false;
  }));
  if (!hit) return fail(Errc::kNotFound, "no such file or directory");
  return found;
}

Result<FatEntry> Fat::walk(std::string_view path) {
  Directory directory = TRY(root());
  for (;;) {
    std::string_view name = next_name(path);
    FatEntry entry = TRY(find(directory, name));
    if (path.empty()) return entry;
    directory = TRY(directory_of(entry));
  }
}

Result<Fat::Directory> Fat::walk_directory(std::string_view path) {
  if (path.empty()) return root();
  FatEntry entry = TRY(walk(path));
  return directory_of(entry);
}

Result<FileInfo> Fat::stat(std::string_view path) {
  if (path.empty()) return FileInfo{FileKind::kDirectory, 0};
  FatEntry entry = TRY(walk(path));
  if (entry.directory()) return FileInfo{FileKind::kDirectory, 0};
  return FileInfo{FileKind::kFile, entry.size};
}

Result<void> Fat::list(std::string_view path, DirectoryVisitor& visitor) {
  Directory directory = TRY(walk_directory(path));
  return each(directory, [&](FatEntry& entry) {
    bool folder = entry.directory();
    visitor.on_entry(entry.name.view(),
                     {folder ? FileKind::kDirectory : FileKind::kFile, folder ? 0 : entry.size});
    return true;
  });
}

Result<Space> Fat::space() {
  constexpr u32 kEntriesATurn = 16384;
  if (free_ == ~0u) {
    u32 count = 0;
    for (u32 c = 2; c - 2 < layout_.clusters; c++) {
      if (TRY(raw_entry(c)) == 0) count++;
      if (c % kEntriesATurn == 0) sched::yield();
    }
    free_ = count;
  }
  return Space{u64{layout_.clusters} * layout_.cluster_bytes, u64{free_} * layout_.cluster_bytes};
}

}  // namespace fs
