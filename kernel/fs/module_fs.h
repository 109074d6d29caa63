// SPDX-License-Identifier: GPL-2.0-or-later
// Shows the boot loader's modules as files under /boot. They stay where they are; nothing is
// copied.
#pragma once

#include "boot/boot_info.h"
#include "kernel/fs/file_system.h"

namespace fs {

// A module's file name is the last part of the first word of its command line, or "moduleN" without
// one. A second module of the same name gets its number as a suffix.
class ModuleFileSystem final : public FileSystem {
 public:
  void init(std::span<const BootModule> modules);
  usize count() const { return entries_.size(); }
  std::string_view name(usize index) const { return entries_[index].name; }

  const char* kind() const override { return "modules"; }
  Result<base::Owner<File>> open(std::string_view path) override;
  Result<FileInfo> stat(std::string_view path) override;
  Result<void> list(std::string_view path, DirectoryVisitor& visitor) override;

 private:
  struct Entry {
    std::string_view name;
    std::span<Byte> bytes;
  };
  const Entry* find(std::string_view name) const;
  std::string_view keep(std::string_view text);

  StaticVector<Entry, kMostBootModules> entries_;
  char names_[64 * kMostBootModules] = {};
  usize names_used_ = 0;
};

// Mounts the modules of this boot at /boot. Does nothing if there are none. Logs a warning about
// those for which there was no room.
Result<void> mount_modules(const BootInfo& boot);

}  // namespace fs
