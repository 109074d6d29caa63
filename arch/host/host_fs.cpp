// SPDX-License-Identifier: GPL-2.0-or-later
// Implements /host with POSIX calls. map() gives a file as it is in the page cache, which is
// available at once. After settle() a thread gradually moves it to huge pages. A file that will be
// rewritten is read into huge pages instead.
#include "arch/host/host_fs.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "arch/host/huge_mover.h"
#include "arch/host/waiting_reads.h"
#include "kernel/base/bytes.h"
#include "kernel/mm/memory.h"

namespace host {
namespace {

using fs::DirectoryVisitor;
using fs::File;
using fs::FileInfo;
using fs::FileKind;

Error last_error() {
  switch (errno) {
    case ENOENT:
    case ENOTDIR:
      return {Errc::kNotFound, "no such file"};
    case EACCES:
    case EPERM:
    case EROFS:
      return {Errc::kPermission, "the host does not permit it"};
    case ENOSPC:
      return {Errc::kFull, "the host's disk is full: delete files"};
    case EISDIR:
      return {Errc::kInvalidArgument, "it is a directory: name a file"};
    case EEXIST:
      return {Errc::kInvalidArgument, "the name exists: choose another one"};
    case ENOTEMPTY:
      return {Errc::kInvalidArgument, "the directory is not empty: remove its files first"};
    case ENAMETOOLONG:
      return {Errc::kInvalidArgument, "the name is too long: choose a shorter one"};
    default:
      return {Errc::kIo, "input or output failed"};
  }
}

std::unexpected<Error> failure() {
  return std::unexpected(last_error());
}

std::string host_path(std::string_view path) {
  return "/" + std::string(path);
}

FileInfo info_of(const struct stat& status) {
  bool directory = S_ISDIR(status.st_mode);
  return {directory ? FileKind::kDirectory : FileKind::kFile,
          directory ? 0 : static_cast<u64>(status.st_size)};
}

// Whole pages in pieces of this size are read while the other threads of CPU 0 run.
constexpr usize kDirectBytes = 32 * kKiB;

class HostFile final : public File {
 public:
  HostFile(int fd, u64 size) : fd_(fd), size_(size) {}
  ~HostFile() override {
    mover_.stop();
    if (mapped_ != nullptr) munmap(mapped_, mapped_bytes_);
    if (direct_fd_ >= 0) ::close(direct_fd_);
    ::close(fd_);
  }
  HostFile(const HostFile&) = delete;
  HostFile& operator=(const HostFile&) = delete;

  u64 size() const override { return size_; }
  Result<usize> read_at(u64 offset, std::span<Byte> out) override;
  Result<usize> write_at(u64 offset, std::span<const Byte> in) override;
  Result<void> truncate(u64 size) override;
  Result<void> flush() override;
  Result<std::span<Byte>> map() override;
  Result<void> own() override;
  void settle() override {
    if (!contents_.empty() && !owned_) mover_.start(contents_);
  }

 private:
  Result<usize> read_directly(u64 offset, std::span<Byte> out);

  int fd_;
  int direct_fd_ = -1;  // the same file, past the host's page cache
  bool opened_directly_ = false;
  u64 size_;
  void* mapped_ = nullptr;
  usize mapped_bytes_ = 0;
  std::span<Byte> contents_;
  bool owned_ = false;
  HugeMover mover_;
};

// Reads past the host's cache, as the machine's file systems read large pieces. Not all file
// systems of the host can do that; others are read through it.
Result<usize> HostFile::read_directly(u64 offset, std::span<Byte> out) {
  if (!std::exchange(opened_directly_, true)) {
    std::string again = "/proc/self/fd/" + std::to_string(fd_);
    direct_fd_ = ::open(again.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
  }
  if (direct_fd_ >= 0) {
    i64 got = read_waiting(direct_fd_, offset, out);
    if (got >= 0) return static_cast<usize>(got);
    if (errno != EINVAL) return failure();  // else the device has larger blocks
  }
  i64 got = read_waiting(fd_, offset, out);
  if (got < 0) return failure();
  return static_cast<usize>(got);
}

Result<usize> HostFile::read_at(u64 offset, std::span<Byte> out) {
  bool aligned = (offset | out.size() | reinterpret_cast<usize>(out.data())) % mm::kPageBytes == 0;
  if (aligned && out.size() >= kDirectBytes) return read_directly(offset, out);
  usize done = 0;
  while (done < out.size()) {
    ssize_t n = pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failure();
    if (n == 0) break;
    done += static_cast<usize>(n);
  }
  return done;
}

Result<usize> HostFile::write_at(u64 offset, std::span<const Byte> in) {
  usize done = 0;
  while (done < in.size()) {
    ssize_t n = pwrite(fd_, in.data() + done, in.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failure();
    done += static_cast<usize>(n);
  }
  size_ = std::max<u64>(size_, offset + done);
  return done;
}

Result<void> HostFile::truncate(u64 size) {
  if (ftruncate(fd_, static_cast<off_t>(size)) != 0) return failure();
  size_ = size;
  return {};
}

Result<void> HostFile::flush() {
  if (fsync(fd_) != 0) return failure();
  return {};
}

Result<std::span<Byte>> HostFile::map() {
  if (size_ == 0 || mapped_ != nullptr) return contents_;
  // One huge page more, so that the file can begin at a huge page.
  usize bytes = base::round_up(size_, mm::kLargePageBytes) + mm::kLargePageBytes;
  void* at = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return failure();
  mapped_ = at;
  mapped_bytes_ = bytes;
  usize first = base::round_up(reinterpret_cast<usize>(at), mm::kLargePageBytes);
  void* file = mmap(reinterpret_cast<void*>(first), size_, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED, fd_, 0);
  if (file == MAP_FAILED) {
    Result<std::span<Byte>> why = failure();
    munmap(std::exchange(mapped_, nullptr), bytes);
    return why;
  }
  contents_ = {static_cast<Byte*>(file), size_};
  return contents_;
}

// Reads into huge pages at once: copying page by page as they are written takes longer.
Result<void> HostFile::own() {
  if (contents_.empty() || owned_) return {};
  if (mmap(contents_.data(), mapped_bytes_ - mm::kLargePageBytes, PROT_READ | PROT_WRITE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
    return failure();
  madvise(contents_.data(), mapped_bytes_ - mm::kLargePageBytes, MADV_HUGEPAGE);
  owned_ = true;
  usize read = TRY(read_at(0, contents_));
  if (read != contents_.size())
    return fail(Errc::kCorrupt, "the file is shorter than its size says: copy it again");
  return {};
}

class HostFileSystem final : public fs::FileSystem {
 public:
  const char* kind() const override { return "host"; }
  bool writable() const override { return true; }
  Result<base::Owner<File>> open(std::string_view path) override;
  Result<base::Owner<File>> create(std::string_view path) override;
  Result<base::Owner<File>> create_private(std::string_view path) override;
  Result<FileInfo> stat(std::string_view path) override;
  Result<void> list(std::string_view path, DirectoryVisitor& visitor) override;
  Result<void> remove(std::string_view path) override;
  Result<void> make_directory(std::string_view path) override;
  bool resolves_parents() const override { return true; }

 private:
  static Result<base::Owner<File>> own(int fd);
};

Result<base::Owner<File>> HostFileSystem::own(int fd) {
  struct stat status{};
  if (fstat(fd, &status) != 0 || S_ISDIR(status.st_mode)) {
    ::close(fd);
    return fail(Errc::kInvalidArgument, "not a file");
  }
  auto file = base::make<HostFile>(fd, static_cast<u64>(status.st_size));
  if (file.has_value()) return base::Owner<File>(std::move(*file));
  ::close(fd);
  return std::unexpected(file.error());
}

Result<base::Owner<File>> HostFileSystem::open(std::string_view path) {
  std::string name = host_path(path);
  int fd = ::open(name.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) fd = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failure();
  return own(fd);
}

Result<base::Owner<File>> HostFileSystem::create(std::string_view path) {
  // Keys and saved texts are written here, so files are readable by their owner only.
  constexpr mode_t kOwnerOnly = 0600;
  int fd = ::open(host_path(path).c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, kOwnerOnly);
  if (fd < 0) return failure();
  return own(fd);
}

Result<base::Owner<File>> HostFileSystem::create_private(std::string_view path) {
  constexpr mode_t kOwnerOnly = 0600;
  int fd = ::open(host_path(path).c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, kOwnerOnly);
  if (fd < 0 && errno == EEXIST)
    return fail(Errc::kInvalidArgument, "the file exists and is not overwritten: choose another");
  if (fd < 0) return failure();
  return own(fd);
}

Result<FileInfo> HostFileSystem::stat(std::string_view path) {
  struct stat status{};
  if (::stat(host_path(path).c_str(), &status) != 0) return failure();
  return info_of(status);
}

Result<void> HostFileSystem::list(std::string_view path, DirectoryVisitor& visitor) {
  std::string name = host_path(path);
  DIR* directory = opendir(name.c_str());
  if (directory == nullptr) return failure();
  // NOLINTNEXTLINE(concurrency-mt-unsafe): a DIR of our own, and only CPU 0's thread has files.
  while (const dirent* entry = readdir(directory)) {
    std::string_view text = entry->d_name;
    struct stat status{};
    if (text == "." || text == "..") continue;
    if (fstatat(dirfd(directory), entry->d_name, &status, 0) != 0) continue;
    visitor.on_entry(text, info_of(status));
  }
  closedir(directory);
  return {};
}

Result<void> HostFileSystem::remove(std::string_view path) {
  std::string name = host_path(path);
  if (unlink(name.c_str()) != 0 && rmdir(name.c_str()) != 0) return failure();
  return {};
}

Result<void> HostFileSystem::make_directory(std::string_view path) {
  if (mkdir(host_path(path).c_str(), 0777) != 0) return failure();
  return {};
}

HostFileSystem instance;

}  // namespace

fs::FileSystem& file_system() {
  return instance;
}

}  // namespace host
