// SPDX-License-Identifier: GPL-2.0-or-later
// The commands about files: ls, cat, cp, rm, mkdir, df, mount.
#include "console/shell/command.h"
#include "console/terminal/io.h"
#include "kernel/base/text.h"
#include "kernel/fs/disks.h"
#include "kernel/mm/memory.h"
#include "kernel/time/clock.h"

namespace console {
namespace {

constexpr u64 kDiskWaitNs = 10'000'000'000;
constexpr u64 kMostShown = 64 * 1024;  // bytes of `cat`
constexpr usize kCopyPiece = 4 * kMiB;

void wait_for_disks() {
  fs::wait_for_disks(timing::now_ns() + kDiskWaitNs);
}

std::string_view word(const Arguments& arguments, usize index, std::string_view otherwise) {
  return index < arguments.words.size() ? arguments.words[index] : otherwise;
}

class Lister final : public fs::DirectoryVisitor {
 public:
  explicit Lister(base::Writer& out) : out_(out) {}
  void on_entry(std::string_view name, const fs::FileInfo& info) override {
    if (info.kind == fs::FileKind::kDirectory) {
      base::format_to(out_, "{:>14} {}/\n", "-", name);
    } else {
      base::format_to(out_, "{:>14} {}\n", info.size, name);
    }
    count_++;
  }
  u64 count() const { return count_; }

 private:
  base::Writer& out_;
  u64 count_ = 0;
};

Result<void> run_ls(const Arguments& arguments, base::Writer& out) {
  wait_for_disks();
  std::string_view path = word(arguments, 1, "/");
  fs::FileInfo info = TRY(fs::stat(path));
  Lister lister(out);
  if (info.kind == fs::FileKind::kFile) {
    lister.on_entry(path, info);
    return {};
  }
  TRY(fs::list(path, lister));
  base::format_to(out, "{} {}\n", lister.count(), lister.count() == 1 ? "entry" : "entries");
  return {};
}
constexpr Command kLs{"ls", "ls [PATH]", "files of a directory, sizes in bytes", run_ls,
                      "Disks are under /disk, boot modules under /boot."};
CONSOLE_COMMAND(kLs);

// Returns true for bytes that are not text, whose control characters would change the terminal.
bool looks_binary(std::string_view text) {
  for (char c : text) {
    u8 byte = static_cast<u8>(c);
    if (byte == 0x7f || (byte < 0x20 && c != '\n' && c != '\t' && c != '\r' && c != '\f'))
      return true;
  }
  return false;
}

Result<void> run_cat(const Arguments& arguments, base::Writer& out) {
  if (arguments.words.size() < 2) return fail(Errc::kInvalidArgument, "name a file");
  wait_for_disks();
  auto file = TRY(fs::open(arguments.words[1]));
  Vector<Byte> bytes;
  TRY(bytes.resize(static_cast<usize>(std::min(file->size(), kMostShown))));
  usize read = TRY(file->read_at(0, bytes.view()));
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), read);
  if (looks_binary(text)) return fail(Errc::kInvalidArgument, "this file is not text");
  out.write(text);
  if (!text.ends_with('\n')) out.write("\n");
  if (file->size() > read) base::format_to(out, "... {} of {} bytes shown\n", read, file->size());
  return {};
}
constexpr Command kCat{"cat", "cat FILE", "shows a text file (its first 64 KiB)", run_cat};
CONSOLE_COMMAND(kCat);

// Returns the target path. If `to` is a directory, it is the file of the same name in it.
Result<String> target_of(std::string_view from, std::string_view to) {
  String path = TRY(String::from(to));
  Result<fs::FileInfo> info = fs::stat(to);
  if (!info.has_value() || info->kind != fs::FileKind::kDirectory) return path;
  if (!to.ends_with('/')) TRY(path.push_back('/'));
  TRY(path.append(base::base_name(from)));
  return path;
}

// Checks the free space before anything is touched: creating the copy empties a file that exists.
Result<void> need_room(std::string_view path, u64 bytes, base::Writer& out) {
  Result<fs::Space> space = fs::space(path);
  if (!space.has_value()) return {};  // the file system does not know
  Result<fs::FileInfo> old = fs::stat(path);
  u64 freed = old.has_value() && old->kind == fs::FileKind::kFile ? old->size : 0;
  if (bytes <= space->free + freed) return {};
  base::format_to(out, "{}: {} MiB to copy, {} MiB free; nothing was changed\n", path,
                  base::ratio(bytes, kMiB, 1), base::ratio(space->free, kMiB, 1));
  return fail(Errc::kFull, "the disk is full: delete files");
}

Result<u64> copy(fs::File& from, fs::File& to) {
  auto pages = TRY(
      mm::allocate_pages({.bytes = kCopyPiece, .purpose = mm::Purpose::kFiles, .zeroed = false}));
  Result<u64> done = [&]() -> Result<u64> {
    u64 at = 0;
    while (at < from.size()) {
      if (io().interrupted()) return fail(Errc::kCancelled, "interrupted");
      usize part = TRY(from.read_at(at, pages.first(kCopyPiece)));
      if (part == 0) return fail(Errc::kIo, "the file ended early");
      if (TRY(to.write_at(at, pages.first(part))) != part)
        return fail(Errc::kFull, "the disk is full: delete files");
      at += part;
    }
    return at;
  }();
  mm::free_pages(pages);
  return done;
}

Result<void> run_cp(const Arguments& arguments, base::Writer& out) {
  if (arguments.words.size() != 3) return fail(Errc::kInvalidArgument, "cp FROM TO");
  wait_for_disks();
  String path = TRY(target_of(arguments.words[1], arguments.words[2]));
  if (path.view() == arguments.words[1])
    return fail(Errc::kInvalidArgument, "a file cannot be copied onto itself");
  auto from = TRY(fs::open(arguments.words[1]));
  TRY(need_room(path.view(), from->size(), out));
  auto to = TRY(fs::create(path.view()));
  u64 start = timing::now_ns();
  Result<u64> copied = copy(*from, *to);
  Result<void> flushed = copied.has_value() ? to->flush() : Result<void>{};
  if (!copied.has_value() || !flushed.has_value()) {
    bool unseen = to->appears_at_flush();  // then a file that was there before stays
    to.reset();
    bool removed = unseen || fs::remove(path.view()).has_value();
    base::format_to(
        out, "{}: {}\n", path.view(),
        removed ? "the unfinished copy is removed" : "an unfinished copy may be left there");
  }
  u64 bytes = TRY(copied);
  TRY(flushed);
  base::format_to(out, "{} bytes in {} ms\n", bytes,
                  base::ratio(timing::now_ns() - start, 1'000'000, 1));
  return {};
}
constexpr Command kCp{"cp", "cp FROM TO", "copies a file; FAT32 and exFAT disks can be written",
                      run_cp};
CONSOLE_COMMAND(kCp);

Result<void> run_rm(const Arguments& arguments, base::Writer&) {
  if (arguments.words.size() != 2) return fail(Errc::kInvalidArgument, "rm PATH");
  wait_for_disks();
  return fs::remove(arguments.words[1]);
}
constexpr Command kRm{"rm", "rm PATH", "removes a file or an empty directory", run_rm};
CONSOLE_COMMAND(kRm);

Result<void> run_mkdir(const Arguments& arguments, base::Writer&) {
  if (arguments.words.size() != 2) return fail(Errc::kInvalidArgument, "mkdir PATH");
  wait_for_disks();
  return fs::make_directory(arguments.words[1]);
}
constexpr Command kMkdir{"mkdir", "mkdir PATH", "makes a directory", run_mkdir};
CONSOLE_COMMAND(kMkdir);

const char* mode_of(const fs::Mount& mount) {
  return mount.file_system->writable() ? "read/write" : "read only";
}

Result<void> run_df(const Arguments&, base::Writer& out) {
  wait_for_disks();
  base::format_to(out, "{:<20} {:<10} {:<10} {:>14} {:>14}\n", "mount", "kind", "mode", "MiB",
                  "free MiB");
  for (const fs::Mount& mount : fs::mounts()) {
    Result<fs::Space> space = mount.file_system->space();
    char total[32] = "-", free[32] = "-";
    if (space.has_value()) {
      base::format_into(total, "{}", base::ratio(space->total, kMiB, 1));
      base::format_into(free, "{}", base::ratio(space->free, kMiB, 1));
    }
    base::format_to(out, "{:<20} {:<10} {:<10} {:>14} {:>14}\n", mount.point,
                    mount.file_system->kind(), mode_of(mount), std::string_view(total),
                    std::string_view(free));
  }
  return {};
}
constexpr Command kDf{"df", "df", "space on every mounted file system", run_df};
CONSOLE_COMMAND(kDf);

Result<void> run_mount(const Arguments&, base::Writer& out) {
  wait_for_disks();
  fs::mount_new_disks();
  for (const fs::Mount& mount : fs::mounts())
    base::format_to(out, "{:<20} {:<10} {}\n", mount.point, mount.file_system->kind(),
                    mode_of(mount));
  for (const fs::Unmounted& volume : fs::unmounted())
    base::format_to(out, "{:<20} {:<10} {}\n", volume.point, "-", volume.reason.what);
  return {};
}
constexpr Command kMount{"mount", "mount", "mounted file systems; disks are mounted automatically",
                         run_mount,
                         "A row without a kind says why a disk or a partition is not mounted.\n"
                         "This kernel repairs no file system: run fsck on another machine."};
CONSOLE_COMMAND(kMount);

}  // namespace
}  // namespace console
