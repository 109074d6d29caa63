// SPDX-License-Identifier: GPL-2.0-or-later
// Reads exFAT directories: entry sets, names, paths.
#include "kernel/base/utf8.h"
#include "kernel/fs/exfat_each.h"

namespace fs {

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

// Section 7.6.4. `units` is a whole name.
u16 Exfat::name_hash(std::span<const u16> units) const {
  u32 hash = 0;
  for (u16 unit : units) {
    u32 up = upper(unit);
    for (u32 byte : {up & 0xff, up >> 8}) hash = ((hash << 15 | hash >> 1) + byte) & 0xffff;
  }
  return static_cast<u16>(hash);
}

ExfatEntry Exfat::root_entry() const {
  ExfatEntry root;
  root.directory = true;
  root.data = root_;
  root.valid = root_.bytes;
  return root;
}

Result<ExfatEntry> Exfat::find(const ExfatEntry& directory, std::string_view name) {
  bool hit = false;
  ExfatEntry found;
  TRY(each(directory, [&](ExfatEntry& entry) {
    hit = same_name(entry.name.view(), name);
    if (hit) found = std::move(entry);
    return !hit;
  }));
  if (!hit) return fail(Errc::kNotFound, "no such file or directory");
  return found;
}

Result<ExfatEntry> Exfat::walk(std::string_view path) {
  ExfatEntry here = root_entry();
  for (std::string_view name = next_name(path); !name.empty(); name = next_name(path))
    here = TRY(find(here, name));
  return here;
}

Result<FileInfo> Exfat::stat(std::string_view path) {
  ExfatEntry found = TRY(walk(path));
  if (found.directory) return FileInfo{FileKind::kDirectory, 0};
  return FileInfo{FileKind::kFile, found.data.bytes};
}

Result<void> Exfat::list(std::string_view path, DirectoryVisitor& visitor) {
  ExfatEntry directory = TRY(walk(path));
  return each(directory, [&](ExfatEntry& entry) {
    bool folder = entry.directory;
    visitor.on_entry(entry.name.view(), {folder ? FileKind::kDirectory : FileKind::kFile,
                                         folder ? 0 : entry.data.bytes});
    return true;
  });
}

}  // namespace fs
