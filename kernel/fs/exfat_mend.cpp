// SPDX-License-Identifier: GPL-2.0-or-later
// Mends a volume that was not unmounted cleanly: makes the bitmap equal to what the directories
// name. Whatever else is wrong is left to fsck, and the volume is then only read.
#include "kernel/fs/exfat_each.h"

namespace fs {
namespace {

constexpr u32 kEndOfChain = 0xffffffff, kBadCluster = 0xfffffff7;
constexpr u8 kBitmap = 0x81, kUpcase = 0x82, kLabel = 0x83, kGuid = 0xa0, kFile = 0x85;
constexpr const char* kDamaged =
    "the exFAT volume is damaged and only read: repair it with fsck.exfat elsewhere";

// Returns true for slots that have no clusters, or those of which are known otherwise.
bool known_primary(u8 type) {
  return type == kBitmap || type == kUpcase || type == kLabel || type == kGuid || type == kFile;
}

bool is_used(std::span<const Byte> bits, u32 cluster) {
  return (bits[(cluster - 2) / 8] >> (cluster - 2) % 8 & 1) != 0;
}

void use(std::span<Byte> bits, u32 cluster) {
  bits[(cluster - 2) / 8] |= static_cast<Byte>(1u << (cluster - 2) % 8);
}

}  // namespace

// Notes the clusters of a file or directory. No two may have the same. A chain that is longer than
// its entry says was being extended: it ends where the entry says.
Result<void> Exfat::mark(Vector<Byte>& seen, const ExfatChain& where) {
  constexpr u32 kStepsATurn = 65536;
  u64 count = clusters_of(where.bytes);
  u32 c = where.first;
  for (u64 i = 0; i < count; i++) {
    if (!usable(c) || is_used(seen.view(), c)) return fail(Errc::kCorrupt, kDamaged);
    use(seen.view(), c);
    if (i % kStepsATurn == kStepsATurn - 1) sched::yield();
    if (where.contiguous) {
      c++;
      continue;
    }
    Byte raw[4];
    TRY(medium_.read(layout_.table_at + u64{c} * 4, raw));
    u32 following = base::load<u32>(raw);
    if (i + 1 == count && following != kEndOfChain) TRY(link({c, 1}, kEndOfChain));
    c = following;
  }
  return {};
}

// Notes the clusters of everything in a directory, and adds its directories to `folders`.
Result<void> Exfat::mark_folder(Vector<Byte>& seen, const ExfatChain& where,
                                Vector<ExfatChain>& folders) {
  ExfatSetReader set;
  return scan(where, [&](u64, const Byte* slot) -> Result<bool> {
    auto state = set.take(slot);
    bool odd = state == ExfatSetReader::State::kDamaged;
    bool alone = state == ExfatSetReader::State::kNone && (slot[0] & kExfatInUse) != 0;
    if (odd || (alone && !known_primary(slot[0]))) return fail(Errc::kCorrupt, kDamaged);
    if (state != ExfatSetReader::State::kComplete) return true;
    ExfatEntry entry = TRY(set.finish());
    if (entry.foreign)
      return fail(Errc::kUnsupported,
                  "the volume was not unmounted cleanly and has files of another kind: run "
                  "fsck.exfat on another machine");
    TRY(mark(seen, entry.data));
    if (entry.directory && entry.data.bytes > 0) TRY(folders.push_back(entry.data));
    return true;
  });
}

Result<void> Exfat::mend() {
  Vector<Byte> seen;
  TRY(seen.resize(bitmap_.bytes().size()));
  TRY(mark(seen, bitmap_at_));
  TRY(mark(seen, upcase_at_));
  TRY(mark(seen, root_));
  Vector<ExfatChain> folders;
  TRY(folders.push_back(root_));
  while (!folders.empty()) {
    ExfatChain folder = folders.back();
    folders.pop_back();
    TRY(mark_folder(seen, folder, folders));
  }
  for (u32 c = 2; c - 2 < layout_.clusters; c++) {
    if (!bitmap_.used(c) || is_used(seen.view(), c)) continue;
    Byte raw[4];
    TRY(medium_.read(layout_.table_at + u64{c} * 4, raw));
    if (base::load<u32>(raw) == kBadCluster) use(seen.view(), c);
  }
  u64 changed = TRY(bitmap_.replace(medium_, seen.view()));
  TRY(medium_.flush());
  log::info("exfat", "not unmounted cleanly: {} clusters of unfinished files are free again",
            changed);
  return {};
}

}  // namespace fs
