// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the allocation bitmap (section 7.1).
#include "kernel/fs/exfat_bitmap.h"

#include <bit>

namespace fs {

Result<void> ExfatBitmap::load(Medium& medium, RunList where, u32 clusters, u32 sector_bytes) {
  u64 needed = base::round_up((u64{clusters} + 7) / 8, sector_bytes);
  if (where.end() < needed) return fail(Errc::kCorrupt, "the allocation bitmap is too short");
  if (needed > kMostBytes)
    return fail(Errc::kUnsupported,
                "the exFAT volume has too many clusters: format it with larger ones");
  Vector<Byte> bits;
  TRY(bits.resize(static_cast<usize>(needed)));
  TRY(where.read(medium, 0, bits.view()));
  where_ = std::move(where);
  bits_ = std::move(bits);
  clusters_ = clusters;
  sector_bytes_ = sector_bytes;
  count();
  return {};
}

void ExfatBitmap::count() {
  u64 used = 0, whole = clusters_ / 8;
  for (u64 i = 0; i < whole; i++)
    used += static_cast<u64>(std::popcount(static_cast<u8>(bits_[i])));
  for (u64 i = whole * 8; i < clusters_; i++)
    if (this->used(static_cast<u32>(i) + 2)) used++;
  free_ = static_cast<u32>(clusters_ - used);
}

void ExfatBitmap::set(ExfatExtent extent, bool used) {
  for (u32 c = extent.first - 2; c < extent.first - 2 + extent.count; c++) {
    auto bit = static_cast<Byte>(1u << c % 8);
    if (((bits_[c / 8] & bit) != 0) == used) continue;
    bits_[c / 8] = static_cast<Byte>(bits_[c / 8] ^ bit);
    free_ = used ? free_ - 1 : free_ + 1;
  }
}

// Writes the sectors that hold the bits of the clusters.
Result<void> ExfatBitmap::store(Medium& medium, ExfatExtent extent) {
  u64 from = base::round_down((extent.first - 2) / 8, sector_bytes_);
  u64 to = base::round_up((extent.first - 2 + extent.count - 1) / 8 + 1, sector_bytes_);
  return where_.write(
      medium, from, bits_.view().subspan(static_cast<usize>(from), static_cast<usize>(to - from)));
}

// Counts the free clusters from `c` on, `most` at most.
u32 ExfatBitmap::free_from(u32 c, u32 most) const {
  u32 n = 0;
  while (n < most && c + n < clusters_ + 2 && !used(c + n)) n++;
  return n;
}

// Prefers what follows `after`, then the first run that is long enough, then the longest one.
ExfatExtent ExfatBitmap::find(u32 after, u32 most) const {
  u32 end = clusters_ + 2, start = std::min(next_, end);
  if (after != 0 && after + 1 < end && !used(after + 1))
    return {after + 1, free_from(after + 1, most)};
  ExfatExtent best;
  for (auto [from, to] : {std::pair(start, end), std::pair(2u, start)}) {
    for (u32 c = from; c < to;) {
      if (used(c)) {
        bool whole_byte = (c - 2) % 8 == 0 && bits_[(c - 2) / 8] == 0xff;
        c += whole_byte ? 8 : 1;
        continue;
      }
      u32 n = free_from(c, most);
      if (n > best.count) best = {c, n};
      if (n == most) return best;
      c += n;
    }
  }
  return best;
}

Result<ExfatExtent> ExfatBitmap::allocate(Medium& medium, u32 after, u32 most) {
  ExfatExtent extent = find(after, most);
  if (extent.count == 0) return fail(Errc::kFull, "the disk is full: delete files");
  set(extent, true);
  next_ = extent.first + extent.count;
  Result<void> stored = store(medium, extent);
  if (stored.has_value()) return extent;
  set(extent, false);
  return std::unexpected(stored.error());
}

Result<void> ExfatBitmap::release(Medium& medium, ExfatExtent extent) {
  if (extent.count == 0) return {};
  set(extent, false);
  next_ = std::min(next_, extent.first);
  return store(medium, extent);
}

Result<u64> ExfatBitmap::replace(Medium& medium, std::span<const Byte> wanted) {
  u64 changed = 0;
  for (usize at = 0; at < bits_.size(); at += sector_bytes_) {
    u64 here = 0;
    for (usize i = at; i < at + sector_bytes_; i++) {
      here += static_cast<u64>(std::popcount(static_cast<u8>(bits_[i] ^ wanted[i])));
      bits_[i] = wanted[i];
    }
    if (here > 0) TRY(store(medium, {static_cast<u32>(at * 8) + 2, 1}));
    changed += here;
  }
  count();
  next_ = 2;
  return changed;
}

}  // namespace fs
