// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the clusters of exFAT as they are taken and freed, and the mark of a dirty volume.
#include "kernel/fs/exfat.h"

namespace fs {

constexpr usize kFlagsAt = 106, kPercentAt = 112;
constexpr u16 kDirty = 2;

Result<void> Exfat::may_write() const {
  if (!medium_.writable())
    return fail(Errc::kPermission, "the disk is read-only: use another disk");
  if (layout_.tables != 1)
    return fail(Errc::kUnsupported, "a TexFAT volume is only read: copy to another disk");
  if (layout_.backup || upcase_.empty())
    return fail(Errc::kCorrupt,
                "the exFAT volume is damaged and only read: repair it with fsck.exfat elsewhere");
  return {};
}

Result<void> Exfat::load_bitmap() {
  if (bitmap_.loaded()) return {};
  ExfatChain where = bitmap_at_;
  u64 needed = (u64{layout_.clusters} + 7) / 8;
  if (where.bytes < needed) return fail(Errc::kCorrupt, "the allocation bitmap is too short");
  where.bytes = base::round_up(needed, layout_.sector_bytes);
  return bitmap_.load(medium_, TRY(runs(where)), layout_.clusters, layout_.sector_bytes);
}

Result<void> Exfat::begin() {
  TRY(may_write());
  TRY(load_bitmap());
  if (layout_.dirty) {
    TRY(mend());
    layout_.dirty = false;
    marked_ = true;
  }
  if (marked_) return {};
  TRY(store_flags(true));
  TRY(medium_.flush());
  marked_ = true;
  return {};
}

Result<void> Exfat::settle() {
  TRY(medium_.flush());
  if (unsettled_ > 0 || !marked_) return {};
  TRY(store_flags(false));
  marked_ = false;
  return {};
}

// Ends a change. After an error nobody knows what the disk holds, so the volume stays dirty and is
// mended after the next mount.
Result<void> Exfat::finish(Result<void> done) {
  if (!done.has_value() && done.error().code == Errc::kIo) unsettled_++;
  Result<void> settled = settle();
  return done.has_value() ? settled : done;
}

// The flags are in the boot sector, and no checksum covers them (section 3.1.13).
Result<void> Exfat::store_flags(bool dirty) {
  Byte sector[512];
  TRY(medium_.read(0, sector));
  u16 flags = base::load<u16>(sector + kFlagsAt);
  base::store<u16>(sector + kFlagsAt,
                   static_cast<u16>(dirty ? flags | kDirty : flags & ~u32{kDirty}));
  u64 used = layout_.clusters - bitmap_.free();
  sector[kPercentAt] = static_cast<Byte>(used * 100 / layout_.clusters);
  return medium_.write(0, sector);
}

// Chains the clusters of an extent, the last of them to `then`.
Result<void> Exfat::link(ExfatExtent extent, u32 then) {
  constexpr u32 kPiece = 4096;  // entries
  Vector<Byte> entries;
  TRY(entries.resize(usize{std::min(extent.count, kPiece)} * 4));
  for (u32 done = 0; done < extent.count;) {
    u32 part = std::min(extent.count - done, kPiece);
    for (u32 i = 0; i < part; i++) {
      bool last = done + i + 1 == extent.count;
      base::store<u32>(entries.data() + usize{i} * 4, last ? then : extent.first + done + i + 1);
    }
    TRY(medium_.write(layout_.table_at + u64{extent.first + done} * 4,
                      entries.view().first(usize{part} * 4)));
    done += part;
  }
  return {};
}

Result<void> Exfat::free_runs(std::span<const Run> runs) {
  for (const Run& run : runs) {
    u32 first = static_cast<u32>((run.offset - layout_.heap_at) / layout_.cluster_bytes) + 2;
    TRY(bitmap_.release(medium_, {first, static_cast<u32>(clusters_of(run.bytes))}));
  }
  return {};
}

Result<void> Exfat::zero(u32 cluster) {
  constexpr u64 kPiece = 64 * 1024;
  Vector<Byte> zeros;
  u64 piece = std::min(kPiece, layout_.cluster_bytes);
  TRY(zeros.resize(static_cast<usize>(piece)));
  for (u64 at = 0; at < layout_.cluster_bytes; at += piece)
    TRY(medium_.write(cluster_at(cluster) + at, zeros.view()));
  return {};
}

}  // namespace fs
