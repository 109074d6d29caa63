// SPDX-License-Identifier: GPL-2.0-or-later
// Reads exFAT directories: entry sets, names, paths.
#include "kernel/base/utf8.h"
#include "kernel/fs/exfat.h"
#include "kernel/log.h"

namespace fs {
namespace {

constexpr u8 kInUse = 0x80, kFile = 0x85, kStream = 0xc0, kName = 0xc1, kSecondary = 0x40;
constexpr u32 kLeastSecondary = 2, kMostSecondary = 18;  // section 7.4.2
constexpr usize kUnitsASlot = 15;

// Section 6.3.3: the checksum covers the whole set except the checksum itself.
u16 add_to_sum(u16 sum, const Byte* slot, bool primary) {
  for (usize i = 0; i < kExfatSlotBytes; i++) {
    if (primary && (i == 2 || i == 3)) continue;
    // unsigned, because a sum of signed numbers could overflow
    u32 turned = u32{sum} << 15 | u32{sum} >> 1;
    sum = static_cast<u16>(turned + static_cast<u8>(slot[i]));
  }
  return sum;
}

}  // namespace

ExfatSetReader::State ExfatSetReader::take(const Byte* slot) {
  u8 type = slot[0];
  if ((type & kInUse) == 0 || (type & kSecondary) == 0) {
    bool broken = left_ > 0;  // the previous set lacks slots
    left_ = 0;
    if (type != kFile) return broken ? State::kDamaged : State::kNone;
    left_ = slot[1];
    sane_ = !broken && left_ >= kLeastSecondary && left_ <= kMostSecondary;
    if (!sane_) {
      left_ = 0;
      return State::kDamaged;
    }
    wanted_ = base::load<u16>(slot + 2);
    sum_ = add_to_sum(0, slot, true);
    entry_ = {};
    entry_.directory = (base::load<u16>(slot + 4) & 0x10) != 0;
    taken_ = 0;
    units_given_ = name_units_ = 0;
    return State::kMore;
  }
  if (left_ == 0) return State::kNone;  // the rest of a set that was dropped
  sum_ = add_to_sum(sum_, slot, false);
  if (taken_ == 0) {
    sane_ = type == kStream;
    name_units_ = static_cast<u8>(slot[3]);
    entry_.contiguous = (slot[1] & 2) != 0;
    entry_.valid = base::load<u64>(slot + 8);
    entry_.first = base::load<u32>(slot + 20);
    entry_.bytes = base::load<u64>(slot + 24);
  } else if (type == kName) {
    add_name(slot);
  }
  taken_++;
  if (--left_ > 0) return State::kMore;
  bool whole = sane_ && sum_ == wanted_ && name_units_ > 0 && name_units_ <= units_given_ &&
               entry_.valid <= entry_.bytes;
  return whole ? State::kComplete : State::kDamaged;
}

void ExfatSetReader::add_name(const Byte* slot) {
  for (usize i = 0; i < kUnitsASlot; i++)
    units_[units_given_++] = base::load<u16>(slot + 2 + 2 * i);
}

Result<ExfatEntry> ExfatSetReader::finish() {
  TRY(append_utf16(entry_.name, std::span(units_).first(name_units_)));
  return std::move(entry_);
}

// Calls visit(ExfatEntry&) for every file and directory; false ends the walk. Leaves out entry sets
// with a wrong checksum, and logs their number.
template <class Visit>
Result<void> Exfat::each(const ExfatEntry& directory, Visit visit) {
  if (!directory.directory) return fail(Errc::kNotFound, "this is not a directory");
  if (directory.bytes > kExfatMostDirectory)
    return fail(Errc::kCorrupt, "a directory larger than exFAT allows");
  RunList where = TRY(runs(directory.first, directory.bytes, directory.contiguous));
  ExfatSetReader set;
  Byte slots[512];
  u32 damaged = 0;
  bool ended = false;
  for (u64 at = 0; at < directory.bytes && !ended; at += sizeof slots) {
    usize part = static_cast<usize>(std::min<u64>(sizeof slots, directory.bytes - at));
    TRY(where.read(medium_, at, std::span(slots).first(part)));
    for (usize i = 0; i + kExfatSlotBytes <= part && !ended; i += kExfatSlotBytes) {
      ended = slots[i] == 0;
      auto state = set.take(slots + i);
      if (state == ExfatSetReader::State::kDamaged) damaged++;
      if (state != ExfatSetReader::State::kComplete) continue;
      ExfatEntry entry = TRY(set.finish());
      if (!printable_name(entry.name.view())) {
        damaged++;
      } else {
        ended = !visit(entry);
      }
    }
  }
  if (damaged > 0) log::warn("exfat", "{} damaged entries of a directory are left out", damaged);
  return {};
}

u32 Exfat::upper(u32 c) const {
  if (upcase_.empty()) return c >= 'a' && c <= 'z' ? c - 0x20 : c;
  return c < upcase_.size() ? upcase_[c] : c;
}

bool Exfat::same_name(std::string_view a, std::string_view b) const {
  while (!a.empty() && !b.empty()) {
    utf8::Decoded x = utf8::decode(a), y = utf8::decode(b);
    if (upper(x.code_point) != upper(y.code_point)) return false;
    a.remove_prefix(x.bytes);
    b.remove_prefix(y.bytes);
  }
  return a.empty() && b.empty();
}

Result<ExfatEntry> Exfat::walk(std::string_view path) {
  ExfatEntry here{.name = {},
                  .directory = true,
                  .contiguous = root_.contiguous,
                  .first = root_.first,
                  .bytes = root_.bytes,
                  .valid = root_.valid};
  for (std::string_view name = next_name(path); !name.empty(); name = next_name(path)) {
    bool hit = false;
    ExfatEntry found;
    TRY(each(here, [&](ExfatEntry& entry) {
      hit = same_name(entry.name.view(), name);
      if (hit) found = std::move(entry);
      return !hit;
    }));
    if (!hit) return fail(Errc::kNotFound, "no such file or directory");
    here = std::move(found);
  }
  return here;
}

Result<base::Owner<File>> Exfat::open(std::string_view path) {
  ExfatEntry found = TRY(walk(path));
  if (found.directory) return fail(Errc::kInvalidArgument, "this is a directory");
  if (found.bytes > u64{layout_.clusters} * layout_.cluster_bytes)
    return fail(Errc::kCorrupt, "a file larger than its volume");
  // After the valid bytes RunFile finds no run and returns zeros.
  RunList where = TRY(runs(found.first, found.valid, found.contiguous));
  return base::Owner<File>(TRY(base::make<RunFile>(medium_, std::move(where), found.bytes)));
}

Result<FileInfo> Exfat::stat(std::string_view path) {
  ExfatEntry found = TRY(walk(path));
  if (found.directory) return FileInfo{FileKind::kDirectory, 0};
  return FileInfo{FileKind::kFile, found.bytes};
}

Result<void> Exfat::list(std::string_view path, DirectoryVisitor& visitor) {
  ExfatEntry directory = TRY(walk(path));
  return each(directory, [&](ExfatEntry& entry) {
    bool folder = entry.directory;
    visitor.on_entry(entry.name.view(),
                     {folder ? FileKind::kDirectory : FileKind::kFile, folder ? 0 : entry.bytes});
    return true;
  });
}

}  // namespace fs
