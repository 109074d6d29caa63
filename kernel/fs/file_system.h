// SPDX-License-Identifier: GPL-2.0-or-later
// Files and the tree of mounted file systems. Paths are absolute, '/'-separated, UTF-8; "." and
// ".." mean in them what they mean elsewhere, and above the root there is nothing.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/memory.h"
#include "kernel/base/result.h"
#include "kernel/mm/memory.h"

namespace fs {

enum class FileKind : u8 { kFile, kDirectory };

struct FileInfo {
  FileKind kind = FileKind::kFile;
  u64 size = 0;  // bytes
};

class File {
 public:
  virtual ~File() = default;
  virtual u64 size() const = 0;
  // Fewer bytes than asked for only at the end of the file.
  virtual Result<usize> read_at(u64 offset, std::span<Byte> out) = 0;
  virtual Result<usize> write_at(u64, std::span<const Byte>) {
    return fail(Errc::kUnsupported, "this file system is read-only");
  }
  virtual Result<void> truncate(u64) {
    return fail(Errc::kUnsupported, "this file system is read-only");
  }
  virtual Result<void> flush() { return {}; }
  // The whole file where it already lies in memory, private and writable (writes do not reach the
  // medium), valid as long as the File. kUnsupported: read it instead.
  virtual Result<std::span<Byte>> map() {
    return fail(Errc::kUnsupported, "this file is not in memory");
  }
  // What map() gave, all of it, is about to be written: worth a copy of its own, at the same place.
  virtual Result<void> own() { return {}; }
  // What map() gave is only read from now on: it may move, unnoticed, to memory that is faster.
  virtual void settle() {}
};

struct Space {
  u64 total = 0, free = 0;  // bytes that files can have; free is 0 on what cannot be written
};

class DirectoryVisitor {
 public:
  virtual void on_entry(std::string_view name, const FileInfo& info) = 0;

 protected:
  ~DirectoryVisitor() = default;
};

// `path` is relative to the mount point, without a leading '/'; "" is the root directory.
class FileSystem {
 public:
  virtual const char* kind() const = 0;  // "fat32", "modules", "host"
  virtual Result<base::Owner<File>> open(std::string_view path) = 0;
  virtual Result<FileInfo> stat(std::string_view path) = 0;
  virtual Result<void> list(std::string_view path, DirectoryVisitor& visitor) = 0;
  virtual Result<base::Owner<File>> create(std::string_view) {
    return fail(Errc::kUnsupported, "this file system is read-only");
  }
  virtual Result<void> remove(std::string_view) {
    return fail(Errc::kUnsupported, "this file system is read-only");
  }
  virtual Result<void> make_directory(std::string_view) {
    return fail(Errc::kUnsupported, "this file system is read-only");
  }
  virtual bool writable() const { return false; }
  // Has it links, so that only it knows what ".." behind a name is? Then paths keep theirs.
  virtual bool resolves_parents() const { return false; }
  virtual Result<Space> space() { return fail(Errc::kUnsupported, "it does not know its size"); }

 protected:
  ~FileSystem() = default;  // mounted file systems live for ever
};

// What a file system lies on.
enum class Home : u8 {
  kElsewhere,  // no disk, or one that is carried away: a stick, a CD
  kFixedDisk,  // a disk that stays in the machine
};

// `point` is "/boot", "/host", "/disk/vda1"; it must stay valid. At most 64 mounts.
Result<void> mount(std::string_view point, FileSystem& file_system, Home home = Home::kElsewhere);
// The medium is gone. What is open there stays valid and fails.
void unmount(std::string_view point);

struct Mount {
  std::string_view point;
  FileSystem* file_system;
  Home home;
};
std::span<const Mount> mounts();

Result<base::Owner<File>> open(std::string_view path);
Result<base::Owner<File>> create(std::string_view path);  // empties one that exists
Result<FileInfo> stat(std::string_view path);
Result<void> list(std::string_view path, DirectoryVisitor& visitor);  // "/" lists the mounts
Result<void> remove(std::string_view path);
Result<void> make_directory(std::string_view path);
Result<Space> space(std::string_view path);  // of the file system that has the path

// A small text file, "" in the heap's terms: whole or an error; refuses more than `limit` bytes.
Result<String> read_text(std::string_view path, usize limit = 1 << 20);

}  // namespace fs
