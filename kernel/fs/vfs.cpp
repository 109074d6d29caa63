// SPDX-License-Identifier: GPL-2.0-or-later
// The tree of mounts: the longest mount point that begins a path has it.
#include "kernel/base/containers.h"
#include "kernel/fs/file_system.h"

namespace fs {
namespace {

constinit StaticVector<Mount, 16> table;

struct Place {
  FileSystem* file_system;
  std::string_view path;  // within it
};

// "/boot//x/" gives the mount of /boot and "x". "." and ".." are not followed: refused.
Result<Place> locate(std::string_view path) {
  if (path.empty() || path.front() != '/')
    return fail(Errc::kInvalidArgument, "a path begins with '/'");
  for (usize at = 0; at < path.size();) {
    usize end = std::min(path.find('/', at), path.size());
    std::string_view part = path.substr(at, end - at);
    if (part == "." || part == "..")
      return fail(Errc::kInvalidArgument, "'.' and '..' are not allowed in a path");
    at = end + 1;
  }
  const Mount* best = nullptr;
  for (const Mount& m : table) {
    bool inside =
        path.starts_with(m.point) && (path.size() == m.point.size() || path[m.point.size()] == '/');
    if (inside && (best == nullptr || m.point.size() > best->point.size())) best = &m;
  }
  if (best == nullptr) return fail(Errc::kNotFound, "nothing is mounted there");
  path.remove_prefix(best->point.size());
  while (path.starts_with('/')) path.remove_prefix(1);
  while (path.ends_with('/')) path.remove_suffix(1);
  return Place{best->file_system, path};
}

}  // namespace

Result<void> mount(std::string_view point, FileSystem& file_system) {
  if (point.size() < 2 || point.front() != '/' || point.ends_with('/'))
    return fail(Errc::kInvalidArgument, "a mount point looks like /name");
  for (const Mount& m : table)
    if (m.point == point) return fail(Errc::kBusy, "something is mounted there already");
  if (!table.push_back({point, &file_system})) return fail(Errc::kFull, "too many mounts");
  return {};
}

std::span<const Mount> mounts() {
  return table.view();
}

Result<base::Owner<File>> open(std::string_view path) {
  Place place = TRY(locate(path));
  return place.file_system->open(place.path);
}

Result<base::Owner<File>> create(std::string_view path) {
  Place place = TRY(locate(path));
  return place.file_system->create(place.path);
}

Result<FileInfo> stat(std::string_view path) {
  if (path == "/") return FileInfo{FileKind::kDirectory, 0};
  Place place = TRY(locate(path));
  return place.file_system->stat(place.path);
}

Result<void> list(std::string_view path, DirectoryVisitor& visitor) {
  if (path == "/") {
    for (const Mount& m : table) visitor.on_entry(m.point.substr(1), {FileKind::kDirectory, 0});
    return {};
  }
  Place place = TRY(locate(path));
  return place.file_system->list(place.path, visitor);
}

Result<void> remove(std::string_view path) {
  Place place = TRY(locate(path));
  return place.file_system->remove(place.path);
}

Result<void> make_directory(std::string_view path) {
  Place place = TRY(locate(path));
  return place.file_system->make_directory(place.path);
}

Result<FileImage> FileImage::load(std::string_view path, mm::Purpose purpose) {
  FileImage image;
  image.file_ = TRY(open(path));
  auto mapped = image.file_->map();
  if (mapped.has_value()) {
    image.bytes_ = *mapped;
    return image;
  }
  u64 size = image.file_->size();
  // Weights are read in place: 2 MiB pages cost the CPU fewer translations.
  usize align = size >= mm::kLargePageBytes ? mm::kLargePageBytes : mm::kPageBytes;
  image.pages_ =
      TRY(mm::allocate_pages({.bytes = size, .purpose = purpose, .align = align, .zeroed = false}));
  usize read = TRY(image.file_->read_at(0, image.pages_.first(size)));
  if (read != size) return fail(Errc::kIo, "the file ended early");
  image.bytes_ = image.pages_.first(size);
  image.file_.reset();
  return image;
}

FileImage::FileImage(FileImage&& other) noexcept
    : file_(std::move(other.file_)),
      pages_(std::exchange(other.pages_, {})),
      bytes_(std::exchange(other.bytes_, {})) {}

FileImage& FileImage::operator=(FileImage&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(pages_, other.pages_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

FileImage::~FileImage() {
  if (!pages_.empty()) mm::free_pages(pages_);
}

Result<String> read_text(std::string_view path, usize limit) {
  auto file = TRY(open(path));
  if (file->size() > limit) return fail(Errc::kOutOfRange, "the file is too large for a text");
  String text;
  TRY(text.chars().resize(file->size()));
  usize read = TRY(file->read_at(
      0, std::span(reinterpret_cast<Byte*>(text.chars().data()), text.chars().size())));
  text.truncate(read);
  return text;
}

}  // namespace fs
