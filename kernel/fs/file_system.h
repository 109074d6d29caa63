// SPDX-License-Identifier: GPL-2.0-or-later
// Files and the tree of mounted file systems. Paths are absolute, '/'-separated and UTF-8. "." and
// ".." have their usual meaning; ".." of the root is the root. For threads of CPU 0; these
// functions wait for disks.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/memory.h"
#include "kernel/base/result.h"
#include "kernel/mm/memory.h"

namespace fs {

inline constexpr const char* kOnlyRead =
    "this file system is only read: copy to a disk with FAT32 or exFAT";

enum class FileKind : u8 { kFile, kDirectory };

struct FileInfo {
  FileKind kind = FileKind::kFile;
  u64 size = 0;  // bytes
};

class File {
 public:
  virtual ~File() = default;
  virtual u64 size() const = 0;
  // Returns fewer bytes than asked for only at the end of the file.
  virtual Result<usize> read_at(u64 offset, std::span<Byte> out) = 0;
  virtual Result<usize> write_at(u64, std::span<const Byte>) {
    return fail(Errc::kUnsupported, kOnlyRead);
  }
  virtual Result<void> truncate(u64) { return fail(Errc::kUnsupported, kOnlyRead); }
  virtual Result<void> flush() { return {}; }
  // Returns true while nothing of a new file can be seen. Some file systems show it, or replace the
  // one of its name, at the first flush(), and forget it if it is closed before.
  virtual bool appears_at_flush() const { return false; }
  // Returns the whole file where it already is in memory: private, writable (writes do not reach
  // the medium), and valid as long as the File. Returns kUnsupported if the file must be read
  // instead.
  virtual Result<std::span<Byte>> map() {
    return fail(Errc::kUnsupported, "this file is not in memory");
  }
  // Tells that everything map() returned is about to be written, so the file system may make its
  // own copy at the same address.
  virtual Result<void> own() { return {}; }
  // Tells that what map() returned is only read from now on, so it may be moved, unnoticed, to
  // faster memory.
  virtual void settle() {}
};

struct Space {
  u64 total = 0, free = 0;  // bytes available to files; free is 0 if it cannot be written
};

class DirectoryVisitor {
 public:
  virtual void on_entry(std::string_view name, const FileInfo& info) = 0;

 protected:
  ~DirectoryVisitor() = default;
};

// `path` is relative to the mount point, without a leading '/'. "" is the root directory.
class FileSystem {
 public:
  virtual const char* kind() const = 0;  // "fat32", "modules", "host"
  virtual Result<base::Owner<File>> open(std::string_view path) = 0;
  virtual Result<FileInfo> stat(std::string_view path) = 0;
  virtual Result<void> list(std::string_view path, DirectoryVisitor& visitor) = 0;
  virtual Result<base::Owner<File>> create(std::string_view) {
    return fail(Errc::kUnsupported, kOnlyRead);
  }
  // Creates a file that only its owner can read, and never one that exists.
  virtual Result<base::Owner<File>> create_private(std::string_view) {
    return fail(Errc::kUnsupported,
                "this disk cannot hide a file from others: make keys with "
                "`marrow bundle keygen` on a computer of your own");
  }
  virtual Result<void> remove(std::string_view) { return fail(Errc::kUnsupported, kOnlyRead); }
  virtual Result<void> make_directory(std::string_view) {
    return fail(Errc::kUnsupported, kOnlyRead);
  }
  virtual bool writable() const { return false; }
  // Returns true if it has links, so that only it knows what ".." after a name means. Its paths
  // then keep their "..".
  virtual bool resolves_parents() const { return false; }
  virtual Result<Space> space() {
    return fail(Errc::kUnsupported, "this file system does not report its size");
  }

 protected:
  ~FileSystem() = default;  // never destroyed
};

// The kind of medium that a file system is on.
enum class Home : u8 {
  kElsewhere,  // no disk, or a removable one: a stick, a CD
  kFixedDisk,  // a disk that stays in the machine
};

// `point` is "/boot", "/host" or "/disk/vda1", and must stay valid. At most 64 mounts.
Result<void> mount(std::string_view point, FileSystem& file_system, Home home = Home::kElsewhere);
// The medium is gone. Open files stay valid, but every access fails.
void unmount(std::string_view point);

struct Mount {
  std::string_view point;
  FileSystem* file_system;
  Home home;
};
std::span<const Mount> mounts();

Result<base::Owner<File>> open(std::string_view path);
// Empties a file that exists, at once or at the first flush() (see File::appears_at_flush).
Result<base::Owner<File>> create(std::string_view path);
Result<base::Owner<File>> create_private(std::string_view path);  // see FileSystem
Result<FileInfo> stat(std::string_view path);
Result<void> list(std::string_view path, DirectoryVisitor& visitor);  // "/" lists the mounts
Result<void> remove(std::string_view path);
Result<void> make_directory(std::string_view path);
Result<Space> space(std::string_view path);  // of the file system that contains the path

// Reads a small text file. It returns the whole file or an error, and refuses more than `limit`
// bytes.
Result<String> read_text(std::string_view path, usize limit = 1 << 20);

}  // namespace fs
