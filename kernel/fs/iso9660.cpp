// SPDX-License-Identifier: GPL-2.0-or-later
// Implements ISO 9660.
#include "kernel/fs/iso9660.h"

#include "kernel/base/text.h"

namespace fs {
namespace {

constexpr u64 kSector = 2048, kFirstDescriptor = 16, kLastDescriptor = 64;
constexpr u32 kMostContinuations = 16;
constexpr u64 kMostDirectoryBytes = 64 * kMiB;
constexpr u8 kFlagDirectory = 2, kFlagAssociated = 4, kFlagMore = 0x80;
constexpr usize kRecordBytes = 33;  // without the name

bool field_is(const Byte* field, const char* name) {
  return field[0] == static_cast<Byte>(name[0]) && field[1] == static_cast<Byte>(name[1]);
}

// Turns "README.TXT;1" into "readme.txt", as Linux shows it without Rock Ridge.
Result<String> plain_name(std::string_view text) {
  text = text.substr(0, text.find(';'));
  if (text.ends_with('.')) text.remove_suffix(1);
  String name;
  for (char c : text) TRY(name.push_back(base::lower(c)));
  return name;
}

}  // namespace

Result<base::Owner<Iso9660>> Iso9660::mount(Medium& medium) {
  for (u64 at = kFirstDescriptor; at < kLastDescriptor && (at + 1) * kSector <= medium.size();
       at++) {
    Byte d[kSector];
    TRY(medium.read(at * kSector, d));
    if (std::memcmp(d + 1, "CD001", 5) != 0 || d[0] == 255) break;
    if (d[0] != 1) continue;  // not the primary volume descriptor
    auto iso = TRY(base::make<Iso9660>(medium));
    iso->block_bytes_ = base::load<u16>(d + 128);
    if (!base::is_power_of_two(iso->block_bytes_) || iso->block_bytes_ < 512 ||
        iso->block_bytes_ > kSector)
      return fail(Errc::kCorrupt, "an ISO 9660 block size out of range");
    iso->root_block_ = base::load<u32>(d + 156 + 2);
    iso->root_bytes_ = base::load<u32>(d + 156 + 10);
    TRY(iso->medium_.init());
    // SUSP 5.3: if the volume has such fields, the root's own record begins with SP.
    Byte first[255];
    u64 root = u64{iso->root_block_} * iso->block_bytes_;
    TRY(iso->medium_.read(root, std::span(first).first(64)));
    if (first[0] >= kRecordBytes + 1 + 7 && field_is(first + 34, "SP") && first[38] == 0xbe &&
        first[39] == 0xef) {
      iso->rock_ridge_ = true;
      iso->skip_ = first[40];
    }
    return iso;
  }
  return fail(Errc::kNotFound, "no ISO 9660 volume");
}

// Reads the fields of a record's system use area, and of the areas that continue it.
Result<void> Iso9660::system_use(std::span<const Byte> area, RockRidge& out, u32 depth) {
  u64 next_at = 0, next_bytes = 0;
  while (area.size() >= 4) {
    usize bytes = area[2];
    if (bytes < 4 || bytes > area.size()) break;  // padding ends the area
    const Byte* f = area.data();
    std::string_view text(reinterpret_cast<const char*>(f) + 5, bytes > 5 ? bytes - 5 : 0);
    if (field_is(f, "NM") && bytes >= 5 && (f[4] & 6) == 0) {
      TRY(out.name.append(text));
    } else if (field_is(f, "CE") && bytes >= 28) {
      next_at = u64{base::load<u32>(f + 4)} * block_bytes_ + base::load<u32>(f + 12);
      next_bytes = base::load<u32>(f + 20);
    } else if (field_is(f, "CL") && bytes >= 8) {
      out.child = base::load<u32>(f + 4);
    } else if (field_is(f, "RE")) {
      out.moved = true;
    } else if (field_is(f, "SL") || field_is(f, "PN")) {
      out.unreadable = true;
    } else if (field_is(f, "ST")) {
      break;
    }
    area = area.subspan(bytes);
  }
  if (next_bytes == 0) return {};
  if (depth >= kMostContinuations || next_bytes > kSector)
    return fail(Errc::kCorrupt, "Rock Ridge fields without end");
  Vector<Byte> more;
  TRY(more.resize(static_cast<usize>(next_bytes)));
  TRY(medium_.read(next_at, more.view()));
  return system_use(more.view(), out, depth + 1);
}

Result<Iso9660::RockRidge> Iso9660::rock_ridge(std::span<const Byte> record) {
  RockRidge out;
  usize name = record[32];
  usize start = kRecordBytes + name + (name % 2 == 0 ? 1 : 0) + skip_;
  if (rock_ridge_ && start < record.size()) TRY(system_use(record.subspan(start), out, 0));
  return out;
}

// Returns the directory at `block`, whose size its own "." record tells.
Result<Iso9660::Entry> Iso9660::directory_at(u64 block) {
  Byte dot[kRecordBytes];
  TRY(medium_.read(block * block_bytes_, dot));
  Entry e;
  e.directory = true;
  e.size = base::load<u32>(dot + 10);
  TRY(e.runs.add({0, block * block_bytes_, e.size}));
  return e;
}

Result<Iso9660::Entry> Iso9660::entry_of(std::span<const Byte> record, bool& skip) {
  RockRidge rr = TRY(rock_ridge(record));
  u8 flags = record[25];
  std::string_view own(reinterpret_cast<const char*>(record.data()) + kRecordBytes, record[32]);
  skip = rr.moved || rr.unreadable || (flags & kFlagAssociated) != 0;
  Entry e;
  if (rr.child != 0) {
    e = TRY(directory_at(rr.child));
  } else {
    e.directory = (flags & kFlagDirectory) != 0;
    e.size = base::load<u32>(record.data() + 10);
    // An extended attribute record comes before the data.
    u64 at = u64{base::load<u32>(record.data() + 2)} + record[1];
    TRY(e.runs.add({0, at * block_bytes_, e.size}));
  }
  e.name = rr.name.empty() ? TRY(plain_name(own)) : std::move(rr.name);
  if (!printable_name(e.name.view())) skip = true;
  return e;
}

// Calls visit(Entry&) for each file and directory; false ends the walk.
template <class Visit>
Result<void> Iso9660::each(const Entry& directory, Visit visit) {
  if (!directory.directory) return fail(Errc::kNotFound, "this is not a directory");
  if (directory.size > kMostDirectoryBytes) return fail(Errc::kCorrupt, "a directory too large");
  Vector<Byte> sector;
  TRY(sector.resize(kSector));
  Entry whole;  // collects a file that has several extents
  bool partial = false;
  for (u64 at = 0; at < directory.size; at += kSector) {
    usize bytes = static_cast<usize>(std::min(kSector, directory.size - at));
    TRY(directory.runs.read(medium_, at, sector.view().first(bytes)));
    for (usize i = 0; i < bytes && sector[i] != 0;) {  // 0: the rest of the sector is empty
      usize length = sector[i];
      if (length <= kRecordBytes || length > bytes - i ||
          kRecordBytes + usize{sector[i + 32]} > length)
        return fail(Errc::kCorrupt, "a directory record that contradicts itself");
      auto record = std::span<const Byte>(sector.view()).subspan(i, length);
      i += length;
      if (record[32] == 1 && record[33] <= 1) continue;  // "." and ".."
      bool skip = false;
      Entry e = TRY(entry_of(record, skip));
      if (skip) continue;
      if (partial) {  // 9.1.6: the parts of a file follow one another
        TRY(whole.runs.add(
            {whole.size, e.runs.view().empty() ? 0 : e.runs.view()[0].offset, e.size}));
        whole.size += e.size;
      } else {
        whole = std::move(e);
      }
      partial = (record[25] & kFlagMore) != 0;
      if (!partial && !visit(whole)) return {};
    }
  }
  return {};
}

Result<Iso9660::Entry> Iso9660::walk(std::string_view path) {
  Entry here;
  here.directory = true;
  here.size = root_bytes_;
  TRY(here.runs.add({0, u64{root_block_} * block_bytes_, root_bytes_}));
  while (!path.empty()) {
    std::string_view name = next_name(path);
    Entry found;
    bool hit = false;
    TRY(each(here, [&](Entry& e) {
      bool same = rock_ridge_ ? e.name.view() == name : equal_ignoring_case(e.name.view(), name);
      if (!same) return true;
      found = std::move(e);
      hit = true;
      return false;
    }));
    if (!hit) return fail(Errc::kNotFound, "no such file or directory");
    here = std::move(found);
  }
  return here;
}

Result<base::Owner<File>> Iso9660::open(std::string_view path) {
  Entry e = TRY(walk(path));
  if (e.directory) return fail(Errc::kInvalidArgument, "this is a directory");
  return base::Owner<File>(TRY(base::make<RunFile>(medium_, std::move(e.runs), e.size)));
}

Result<FileInfo> Iso9660::stat(std::string_view path) {
  Entry e = TRY(walk(path));
  if (e.directory) return FileInfo{FileKind::kDirectory, 0};
  return FileInfo{FileKind::kFile, e.size};
}

Result<void> Iso9660::list(std::string_view path, DirectoryVisitor& visitor) {
  Entry directory = TRY(walk(path));
  return each(directory, [&](Entry& e) {
    visitor.on_entry(e.name.view(), {e.directory ? FileKind::kDirectory : FileKind::kFile,
                                     e.directory ? 0 : e.size});
    return true;
  });
}

}  // namespace fs
