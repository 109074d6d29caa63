// SPDX-License-Identifier: GPL-2.0-or-later
// A file as a disk: the image of a CD that one installs from, or of a disk that is installed to.
// For threads of CPU 0; requests are complete when submit() returns, and wait for the file's own
// disk.
#pragma once

#include "kernel/dev/block_device.h"
#include "kernel/fs/file_system.h"

namespace service {

class FileDisk final : public BlockDevice {
 public:
  enum class Access : u8 { kRead, kWrite };
  // `name` is a literal.
  FileDisk(std::string_view name, base::Owner<fs::File> file, Access access)
      : name_(name), file_(std::move(file)), access_(access) {}
  std::string_view name() const override { return name_; }
  std::string_view driver() const override { return "file"; }
  BlockGeometry geometry() const override;
  u32 queue_depth() const override { return 1; }
  Result<void> submit(BlockRequest& request) override;
  void poll() override {}

 private:
  static constexpr u32 kBlockBytes = 512;
  Result<void> transfer(BlockRequest& request);

  std::string_view name_;
  base::Owner<fs::File> file_;
  Access access_;
};

}  // namespace service
