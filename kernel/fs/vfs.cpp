// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the tree of mounts: the longest mount point that begins a path decides.
#include "kernel/base/containers.h"
#include "kernel/base/text.h"
#include "kernel/fs/disks.h"
#include "kernel/fs/file_system.h"
#include "kernel/log.h"
#include "kernel/sched/context.h"

namespace fs {
namespace {

constinit StaticVector<Mount, 64> table;

struct Place {
  FileSystem* file_system;
  String path;  // relative to the mount
};

// Turns "/boot/./x//y/../" into "/boot/x". The root is "".
Result<String> plain(std::string_view path) {
  if (path.empty() || path.front() != '/')
    return fail(Errc::kInvalidArgument, "a path must begin with '/'");
  String out;
  for (usize at = 0; at < path.size();) {
    usize end = std::min(path.find('/', at), path.size());
    std::string_view part = path.substr(at, end - at);
    at = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      out.truncate(std::min(out.view().rfind('/'), out.size()));
      continue;
    }
    TRY(out.append("/"));
    TRY(out.append(part));
  }
  return out;
}

bool inside(std::string_view path, std::string_view point) {
  return path.starts_with(point) && (path.size() == point.size() || path[point.size()] == '/');
}

// Returns the mount of /boot and "x" for "/boot//x/".
Result<Place> locate(std::string_view path) {
  String clean = TRY(plain(path));
  const Mount* best = nullptr;
  for (const Mount& m : table)
    if (inside(clean.view(), m.point) && (best == nullptr || m.point.size() > best->point.size()))
      best = &m;
  if (best == nullptr)
    return fail(Errc::kNotFound, "nothing is mounted there (`mount` lists what is)");
  bool as_given = best->file_system->resolves_parents() && inside(path, best->point);
  std::string_view rest = (as_given ? path : clean.view()).substr(best->point.size());
  while (rest.starts_with('/')) rest.remove_prefix(1);
  while (rest.ends_with('/')) rest.remove_suffix(1);
  return Place{best->file_system, TRY(String::from(rest))};
}

// Returns the next name below `folder` ("" is the root) on the way to a mount, or "" if it is not
// on the way.
std::string_view name_towards(const Mount& mount, std::string_view folder) {
  std::string_view rest = mount.point;
  if (!rest.starts_with(folder) || rest.size() == folder.size() || rest[folder.size()] != '/')
    return {};
  rest.remove_prefix(folder.size() + 1);
  return base::split_off(rest, '/');
}

// Lists a folder that exists only because mount points are below it. Returns false if there are
// none.
bool list_mounts(std::string_view folder, DirectoryVisitor& visitor) {
  bool any = false;
  for (const Mount& m : table)
    if (m.point == folder) return false;
  for (usize i = 0; i < table.size(); i++) {
    std::string_view name = name_towards(table[i], folder);
    bool repeated = name.empty();
    for (usize k = 0; k < i; k++) repeated = repeated || name_towards(table[k], folder) == name;
    any = any || !name.empty();
    if (!repeated) visitor.on_entry(name, {FileKind::kDirectory, 0});
  }
  return any || folder.empty();
}

// Logs what failed and where. A missing or forbidden file is not logged; that is the caller's
// decision.
void tell(std::string_view path, std::string_view what, u64 offset, const Error& error) {
  bool damaged = error.code == Errc::kCorrupt;
  if (error.code == Errc::kIo || damaged || error.code == Errc::kTimeout)
    log::warn("fs", "{}: {} at byte {}: {}{}", path, what, offset, error,
              damaged ? "; fsck on another machine may mend it" : "");
}

// A file that knows its path, so that errors can name it.
class NamedFile final : public File {
 public:
  NamedFile(base::Owner<File> file, String path, const FileSystem* system)
      : file_(std::move(file)), path_(std::move(path)), system_(system), next_(first_) {
    first_ = this;
  }
  NamedFile(const NamedFile&) = delete;
  NamedFile& operator=(const NamedFile&) = delete;
  ~NamedFile() override {
    NamedFile** at = &first_;
    while (*at != this) at = &(*at)->next_;
    *at = next_;
  }
  static u32 count(const FileSystem& system) {
    u32 n = 0;
    for (const NamedFile* file = first_; file != nullptr; file = file->next_)
      if (file->system_ == &system) n++;
    return n;
  }
  u64 size() const override { return file_->size(); }
  Result<usize> read_at(u64 offset, std::span<Byte> out) override {
    Result<usize> n = file_->read_at(offset, out);
    if (!n.has_value()) tell(path_.view(), "reading", offset, n.error());
    return n;
  }
  Result<usize> write_at(u64 offset, std::span<const Byte> in) override {
    Result<usize> n = file_->write_at(offset, in);
    if (!n.has_value()) tell(path_.view(), "writing", offset, n.error());
    return n;
  }
  Result<void> truncate(u64 bytes) override { return file_->truncate(bytes); }
  Result<void> flush() override {
    Result<void> done = file_->flush();
    if (!done.has_value()) tell(path_.view(), "flushing", size(), done.error());
    return done;
  }
  bool appears_at_flush() const override { return file_->appears_at_flush(); }
  Result<std::span<Byte>> map() override { return file_->map(); }
  Result<void> own() override { return file_->own(); }
  void settle() override { file_->settle(); }

 private:
  static constinit NamedFile* first_;  // the list of open files
  base::Owner<File> file_;
  String path_;
  const FileSystem* system_;
  NamedFile* next_;
};
constinit NamedFile* NamedFile::first_ = nullptr;

Result<base::Owner<File>> named(Result<base::Owner<File>> file, std::string_view path,
                                const FileSystem* system) {
  if (!file.has_value()) {
    tell(path, "opening", 0, file.error());
    return file;
  }
  String copy = TRY(String::from(path));
  return base::Owner<File>(TRY(base::make<NamedFile>(std::move(*file), std::move(copy), system)));
}

}  // namespace

Result<void> mount(std::string_view point, FileSystem& file_system, Home home) {
  if (point.size() < 2 || point.front() != '/' || point.ends_with('/'))
    return fail(Errc::kInvalidArgument, "a mount point must look like /name");
  for (const Mount& m : table)
    if (m.point == point) return fail(Errc::kBusy, "something is mounted there already");
  if (!table.push_back({point, &file_system, home}))
    return fail(Errc::kFull, "too many file systems are mounted");
  return {};
}

void unmount(std::string_view point) {
  for (usize i = 0; i < table.size(); i++) {
    if (table[i].point != point) continue;
    for (usize k = i + 1; k < table.size(); k++) table[k - 1] = table[k];
    table.truncate(table.size() - 1);
    return;
  }
}

u32 open_files(const FileSystem& system) {
  return NamedFile::count(system);
}

std::span<const Mount> mounts() {
  return table.view();
}

Result<base::Owner<File>> open(std::string_view path) {
  sched::assert_thread();
  Place place = TRY(locate(path));
  return named(place.file_system->open(place.path.view()), path, place.file_system);
}

Result<base::Owner<File>> create(std::string_view path) {
  sched::assert_thread();
  Place place = TRY(locate(path));
  return named(place.file_system->create(place.path.view()), path, place.file_system);
}

Result<base::Owner<File>> create_private(std::string_view path) {
  sched::assert_thread();
  Place place = TRY(locate(path));
  return named(place.file_system->create_private(place.path.view()), path, place.file_system);
}

Result<FileInfo> stat(std::string_view path) {
  sched::assert_thread();
  struct Ignore final : DirectoryVisitor {
    void on_entry(std::string_view, const FileInfo&) override {}
  } ignore;
  String folder = TRY(plain(path));
  if (list_mounts(folder.view(), ignore)) return FileInfo{FileKind::kDirectory, 0};
  Place place = TRY(locate(path));
  return place.file_system->stat(place.path.view());
}

Result<void> list(std::string_view path, DirectoryVisitor& visitor) {
  sched::assert_thread();
  String folder = TRY(plain(path));
  if (list_mounts(folder.view(), visitor)) return {};
  Place place = TRY(locate(path));
  Result<void> listed = place.file_system->list(place.path.view(), visitor);
  if (!listed.has_value()) tell(path, "listing", 0, listed.error());
  return listed;
}

Result<void> remove(std::string_view path) {
  sched::assert_thread();
  Place place = TRY(locate(path));
  return place.file_system->remove(place.path.view());
}

Result<void> make_directory(std::string_view path) {
  sched::assert_thread();
  Place place = TRY(locate(path));
  return place.file_system->make_directory(place.path.view());
}

Result<Space> space(std::string_view path) {
  sched::assert_thread();
  Place place = TRY(locate(path));
  return place.file_system->space();
}

Result<String> read_text(std::string_view path, usize limit) {
  sched::assert_thread();
  auto file = TRY(open(path));
  if (file->size() > limit)
    return fail(Errc::kOutOfRange, "the file is too large to be read as text");
  String text;
  TRY(text.chars().resize(file->size()));
  usize read = TRY(file->read_at(
      0, std::span(reinterpret_cast<Byte*>(text.chars().data()), text.chars().size())));
  text.truncate(read);
  return text;
}

}  // namespace fs
