// SPDX-License-Identifier: GPL-2.0-or-later
// Implements runs, and the decoding of names in disk formats.
#include "kernel/fs/runs.h"

#include "kernel/base/utf8.h"

namespace fs {

Result<void> RunList::add(Run run) {
  if (run.bytes == 0) return {};
  TRY(base::checked_add(run.at, run.bytes));
  TRY(base::checked_add(run.offset, run.bytes));
  if (run.at < end()) return fail(Errc::kCorrupt, "parts of a file overlap");
  if (!runs_.empty()) {
    Run& last = runs_.back();
    if (last.at + last.bytes == run.at && last.offset + last.bytes == run.offset) {
      last.bytes += run.bytes;
      return {};
    }
  }
  return runs_.push_back(run);
}

// Returns the first run that ends after `offset`.
const Run* RunList::run_at(u64 offset) const {
  return std::upper_bound(runs_.begin(), runs_.end(), offset,
                          [](u64 at, const Run& r) { return at < r.at + r.bytes; });
}

Result<void> RunList::write(Medium& medium, u64 offset, std::span<const Byte> in) const {
  for (const Run* run = run_at(offset); !in.empty(); run++) {
    if (run == runs_.end() || offset < run->at)
      return fail(Errc::kCorrupt, "a write to a part of a file that has no place on the disk");
    u64 into = offset - run->at;
    usize part = static_cast<usize>(std::min<u64>(run->bytes - into, in.size()));
    TRY(medium.write(run->offset + into, in.first(part)));
    in = in.subspan(part);
    offset += part;
  }
  return {};
}

Result<void> RunList::read(Medium& medium, u64 offset, std::span<Byte> out) const {
  const Run* run = run_at(offset);
  while (!out.empty()) {
    if (run == runs_.end() || offset < run->at) {
      u64 hole = run == runs_.end() ? out.size() : run->at - offset;
      usize part = static_cast<usize>(std::min<u64>(hole, out.size()));
      std::memset(out.data(), 0, part);
      out = out.subspan(part);
      offset += part;
      continue;
    }
    u64 into = offset - run->at;
    usize part = static_cast<usize>(std::min<u64>(run->bytes - into, out.size()));
    TRY(medium.read(run->offset + into, out.first(part)));
    out = out.subspan(part);
    offset += part;
    run++;
  }
  return {};
}

Result<void> ChainWatch::visit(u32 cluster) {
  constexpr u64 kStepsATurn = 4096;  // takes about 100 us if the table is in memory
  if (cluster == mark_) return fail(Errc::kCorrupt, "a cluster chain is a ring");
  if (++steps_ == next_mark_) {
    mark_ = cluster;
    next_mark_ *= 2;
  }
  if (steps_ % kStepsATurn == 0) sched::yield();
  return {};
}

Result<usize> RunFile::read_at(u64 offset, std::span<Byte> out) {
  if (offset >= size_) return usize{0};
  usize part = static_cast<usize>(std::min<u64>(out.size(), size_ - offset));
  TRY(runs_.read(medium_, offset, out.first(part)));
  return part;
}

Result<usize> SmallFile::read_at(u64 offset, std::span<Byte> out) {
  if (offset >= bytes_.size()) return usize{0};
  usize part = std::min(out.size(), bytes_.size() - static_cast<usize>(offset));
  std::memcpy(out.data(), bytes_.data() + offset, part);
  return part;
}

std::string_view next_name(std::string_view& path) {
  while (path.starts_with('/')) path.remove_prefix(1);
  usize end = std::min(path.find('/'), path.size());
  std::string_view name = path.substr(0, end);
  path.remove_prefix(end);
  while (path.starts_with('/')) path.remove_prefix(1);
  return name;
}

Result<void> append_utf16(String& out, std::span<const u16> units) {
  for (usize i = 0; i < units.size() && units[i] != 0; i++) {
    u32 c = units[i];
    bool high = c >= 0xd800 && c < 0xdc00;
    if (high && i + 1 < units.size() && units[i + 1] >= 0xdc00 && units[i + 1] < 0xe000) {
      c = 0x10000 + ((c - 0xd800) << 10) + (units[++i] - 0xdc00u);
    } else if (c >= 0xd800 && c < 0xe000) {
      c = utf8::kReplacement;
    }
    char text[4];
    TRY(out.append({text, utf8::encode(c, text)}));
  }
  return {};
}

bool printable_name(std::string_view name) {
  if (name.empty()) return false;
  for (char c : name)
    if (static_cast<u8>(c) < 0x20 || c == '/' || c == 0x7f) return false;
  return true;
}

namespace {
constexpr const char* kForbidden =
    "the disk does not allow this file name: leave out \" * : < > ? \\ | and a last dot or space";
}  // namespace

Result<usize> name_units(std::string_view name, std::span<u16, kMostNameUnits> out) {
  usize n = 0;
  if (name.ends_with('.') || name.ends_with(' ') || !printable_name(name))
    return fail(Errc::kInvalidArgument, kForbidden);
  while (!name.empty()) {
    utf8::Decoded d = utf8::decode(name);
    bool bad = !d.valid || (d.code_point < 0x80 &&
                            std::string_view("\"*:<>?\\|").find(static_cast<char>(d.code_point)) !=
                                std::string_view::npos);
    if (bad) return fail(Errc::kInvalidArgument, kForbidden);
    bool pair = d.code_point >= 0x10000;
    if (n + pair >= kMostNameUnits)
      return fail(Errc::kInvalidArgument, "the file name is too long: choose a shorter one");
    if (pair) {
      out[n++] = static_cast<u16>(0xd800 + ((d.code_point - 0x10000) >> 10));
      out[n++] = static_cast<u16>(0xdc00 + ((d.code_point - 0x10000) & 0x3ff));
    } else {
      out[n++] = static_cast<u16>(d.code_point);
    }
    name.remove_prefix(d.bytes);
  }
  return n;
}

PathSplit split_path(std::string_view path) {
  usize slash = path.rfind('/');
  if (slash == std::string_view::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace fs
