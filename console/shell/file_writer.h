// SPDX-License-Identifier: GPL-2.0-or-later
// Writes what a command prints into a file: buffered, and it keeps the first error.
#pragma once

#include <algorithm>
#include <cstring>

#include "kernel/base/format.h"
#include "kernel/fs/file_system.h"

namespace console {

class FileWriter final : public base::Writer {
 public:
  explicit FileWriter(fs::File& file) : file_(file) {}
  void write(std::string_view text) override {
    while (!text.empty() && status_.has_value()) {
      usize part = std::min(text.size(), sizeof buffer_ - used_);
      std::memcpy(buffer_ + used_, text.data(), part);
      used_ += part;
      text.remove_prefix(part);
      if (used_ == sizeof buffer_) flush();
    }
  }
  // Writes the rest to the disk and returns how many bytes the file has. Called once, at the end.
  Result<u64> finish() {
    flush();
    if (!status_.has_value()) return std::unexpected(status_.error());
    TRY(file_.flush());
    return offset_;
  }

 private:
  void flush() {
    auto written = file_.write_at(
        offset_, {reinterpret_cast<const Byte*>(static_cast<const char*>(buffer_)), used_});
    if (!written.has_value()) status_ = std::unexpected(written.error());
    offset_ += used_;
    used_ = 0;
  }

  fs::File& file_;
  Result<void> status_;
  u64 offset_ = 0;
  usize used_ = 0;
  char buffer_[4096];
};

}  // namespace console
