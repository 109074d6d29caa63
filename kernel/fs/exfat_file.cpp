// SPDX-License-Identifier: GPL-2.0-or-later
// Implements exFAT files. Order of writes: bitmap, chain and data; flush; the entry set, which is
// one sector; flush; then what is no longer needed is freed.
#include "kernel/fs/exfat_file.h"

#include "kernel/log.h"

namespace fs {

constexpr u32 kEndOfChain = 0xffffffff;

ExfatFile::ExfatFile(Exfat& exfat, ExfatEntry entry, String path, RunList valid_runs)
    : exfat_(exfat),
      entry_(std::move(entry)),
      path_(std::move(path)),
      runs_(std::move(valid_runs)),
      contiguous_(entry_.data.contiguous),
      size_(entry_.data.bytes),
      valid_(entry_.valid),
      changed_(!listed()),
      next_(exfat.open_) {
  exfat.open_ = this;
}

ExfatFile::~ExfatFile() {
  TurnGuard guard(exfat_.turn_);
  Result<void> closed = holding_ ? give_back() : exfat_.marked_ ? exfat_.settle() : Result<void>{};
  // The volume stays marked as dirty, so the first write after the next mount mends it.
  if (!closed.has_value()) log::warn("exfat", "{}: closing: {}", path_.view(), closed.error());
  ExfatFile** at = &exfat_.open_;
  while (*at != this) at = &(*at)->next_;
  *at = next_;
}

u32 ExfatFile::cluster_of(u64 medium_offset) const {
  const ExfatLayout& l = exfat_.layout_;
  return static_cast<u32>((medium_offset - l.heap_at) / l.cluster_bytes) + 2;
}

Result<usize> ExfatFile::read_at(u64 offset, std::span<Byte> out) {
  if (offset >= size_) return usize{0};
  usize part = static_cast<usize>(std::min<u64>(out.size(), size_ - offset));
  usize stored = offset >= valid_ ? 0 : static_cast<usize>(std::min<u64>(part, valid_ - offset));
  TRY(runs_.read(exfat_.medium_, offset, out.first(stored)));
  if (part > stored) std::memset(out.data() + stored, 0, part - stored);
  return part;
}

// Makes the volume and this file ready to be written. Called with the turn.
Result<void> ExfatFile::prepare() {
  if (entry_.foreign)
    return fail(Errc::kUnsupported,
                "the file has data of another system beside its own: change it there");
  TRY(exfat_.begin());
  TRY(need_current());
  if (whole_) return {};
  u64 each = exfat_.layout_.cluster_bytes;
  ExfatChain all = entry_.data;
  all.bytes = exfat_.clusters_of(all.bytes) * each;
  runs_ = TRY(exfat_.runs(all));
  whole_ = true;
  return {};
}

// Two writers of one file must not overwrite each other's clusters.
Result<void> ExfatFile::need_current() {
  if (!listed()) return {};
  ExfatSet set = TRY(exfat_.load_set(entry_));
  const Byte* stream = set.bytes().data() + kExfatSlotBytes;
  bool same = base::load<u64>(stream + 8) == entry_.valid &&
              base::load<u32>(stream + 20) == entry_.data.first &&
              base::load<u64>(stream + 24) == entry_.data.bytes;
  if (!same) return fail(Errc::kBusy, "another program has changed the file: open it again");
  return {};
}

Result<void> ExfatFile::grow(u64 bytes) {
  const ExfatLayout& l = exfat_.layout_;
  if (bytes > u64{l.clusters} * l.cluster_bytes)
    return fail(Errc::kFull, "the disk is full: delete files");
  while (runs_.end() < bytes) {
    u64 wanted = exfat_.clusters_of(bytes - runs_.end());
    std::span<const Run> held = runs_.view();
    u32 last = held.empty() ? 0 : cluster_of(held.back().offset + held.back().bytes - 1);
    ExfatExtent e = TRY(exfat_.bitmap_.allocate(exfat_.medium_, last, static_cast<u32>(wanted)));
    if (!std::exchange(holding_, true)) exfat_.unsettled_++;
    u64 at = runs_.end();
    TRY(runs_.add({at, exfat_.cluster_at(e.first), e.count * l.cluster_bytes}));
    if (last == 0) {
      contiguous_ = true;
    } else if (contiguous_ && e.first != last + 1) {
      ExfatExtent before{cluster_of(runs_.view()[0].offset),
                         static_cast<u32>(at / l.cluster_bytes)};
      TRY(exfat_.link(before, e.first));
      contiguous_ = false;
      TRY(exfat_.link(e, kEndOfChain));
    } else if (!contiguous_) {
      TRY(exfat_.link(e, kEndOfChain));
      TRY(exfat_.link({last, 1}, e.first));
    }
  }
  return {};
}

// Writes zeros from the last valid byte to `offset`.
Result<void> ExfatFile::fill_gap(u64 offset) {
  constexpr usize kPiece = 64 * 1024;
  if (offset <= valid_) return {};
  Vector<Byte> zeros;
  TRY(zeros.resize(static_cast<usize>(std::min<u64>(kPiece, offset - valid_))));
  while (valid_ < offset) {
    usize part = static_cast<usize>(std::min<u64>(zeros.size(), offset - valid_));
    TRY(runs_.write(exfat_.medium_, valid_, zeros.view().first(part)));
    valid_ += part;
  }
  return {};
}

Result<usize> ExfatFile::write_at(u64 offset, std::span<const Byte> in) {
  if (in.empty()) return usize{0};
  u64 end = TRY(base::checked_add(offset, in.size()));
  TurnGuard guard(exfat_.turn_);
  TRY(prepare());
  TRY(grow(end));
  changed_ = changed_ || end > valid_;
  size_ = std::max(size_, offset);  // what lies between reads as zeros
  TRY(fill_gap(offset));
  TRY(runs_.write(exfat_.medium_, offset, in));
  size_ = std::max(size_, end);
  valid_ = std::max(valid_, end);
  return in.size();
}

Result<void> ExfatFile::truncate(u64 bytes) {
  TurnGuard guard(exfat_.turn_);
  TRY(prepare());
  if (bytes == size_) return exfat_.settle();
  changed_ = true;
  if (bytes > size_) {
    TRY(grow(bytes));
    size_ = bytes;
    return {};
  }
  size_ = bytes;
  valid_ = std::min(valid_, bytes);
  // Later writes use the clusters again, so the directory must have forgotten the end first.
  return listed() ? conclude(publish()) : Result<void>{};
}

Result<void> ExfatFile::flush() {
  TurnGuard guard(exfat_.turn_);
  if (!changed_) return exfat_.medium_.flush();
  TRY(prepare());
  return conclude(publish());
}

// After a failed write nobody knows whether the directory names the clusters: they stay taken, and
// the volume dirty, until it is mended after the next mount.
Result<void> ExfatFile::conclude(Result<void> published) {
  if (published.has_value() || published.error().code != Errc::kIo) return published;
  if (!std::exchange(holding_, false)) exfat_.unsettled_++;
  return published;
}

// Lets the directory say what the file is now.
Result<void> ExfatFile::publish() {
  ExfatChain data{0, false, size_};
  if (size_ > 0) {
    data.first = cluster_of(runs_.view()[0].offset);
    data.contiguous = contiguous_;
  }
  TRY(exfat_.medium_.flush());
  if (listed()) {
    TRY(exfat_.update(entry_, data, valid_));
    TRY(exfat_.medium_.flush());
  } else {
    TRY(list_new(data));
  }
  TRY(trim());
  changed_ = false;
  if (std::exchange(holding_, false)) exfat_.unsettled_--;
  return exfat_.settle();
}

// Adds the file to its directory, or puts it in the place of the one that has its name.
Result<void> ExfatFile::list_new(const ExfatChain& data) {
  PathSplit where = split_path(path_.view());
  ExfatEntry parent = TRY(exfat_.walk(where.parent));
  Result<ExfatEntry> old = exfat_.find(parent, where.name);
  if (!old.has_value() && old.error().code != Errc::kNotFound) return std::unexpected(old.error());
  if (!old.has_value()) {
    ExfatEntry fresh;
    fresh.name = TRY(String::from(where.name));
    fresh.data = data;
    fresh.valid = valid_;
    entry_ = TRY(exfat_.add(std::move(parent), std::move(fresh)));
    return exfat_.medium_.flush();
  }
  TRY(exfat_.need_replaceable(*old));
  RunList replaced = TRY(exfat_.runs(old->data));
  TRY(exfat_.update(*old, data, valid_));
  entry_ = std::move(*old);
  TRY(exfat_.medium_.flush());
  return exfat_.free_runs(replaced.view());
}

// Frees the clusters after the end of the file, which the directory no longer names.
Result<void> ExfatFile::trim() {
  u64 kept = exfat_.clusters_of(size_) * exfat_.layout_.cluster_bytes;
  if (runs_.end() <= kept) return {};
  RunList rest, tail;
  for (const Run& run : runs_.view()) {
    u64 stay = run.at >= kept ? 0 : std::min(run.bytes, kept - run.at);
    TRY(rest.add({run.at, run.offset, stay}));
    TRY(tail.add({run.at + stay, run.offset + stay, run.bytes - stay}));
  }
  runs_ = std::move(rest);
  if (kept > 0 && !contiguous_) {
    const Run& last = runs_.view().back();
    TRY(exfat_.link({cluster_of(last.offset + last.bytes - 1), 1}, kEndOfChain));
  }
  return exfat_.free_runs(tail.view());
}

// Frees what the directory does not name, when the file is closed without flush().
Result<void> ExfatFile::give_back() {
  size_ = entry_.data.bytes;
  // A chain that was made of contiguous clusters is unknown to the directory, and may stay.
  TRY(trim());
  exfat_.unsettled_--;
  return exfat_.settle();
}

}  // namespace fs
