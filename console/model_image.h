// SPDX-License-Identifier: GPL-2.0-or-later
// A part of a model in memory: in place where the loader put it, else read in pieces, so that the
// person sees how far it is, may stop it, and nobody else waits for a large file.
#pragma once

#include "console/progress.h"
#include "kernel/fs/file_system.h"

namespace console {

class ModelImage {
 public:
  // `before` bytes of the model have been read already, of `total`. kCancelled on Ctrl-C.
  struct Place {
    u64 before, total;
    Io* io;  // null: nobody to ask
    Progress* progress;
  };
  static Result<ModelImage> load(std::string_view path, const Place& place);
  ModelImage() = default;
  ModelImage(ModelImage&& other) noexcept { swap(other); }
  ModelImage& operator=(ModelImage&& other) noexcept {
    swap(other);
    return *this;
  }
  ~ModelImage();
  std::span<Byte> bytes() const { return bytes_; }

 private:
  void swap(ModelImage& other);
  base::Owner<fs::File> file_;  // set when bytes_ is its map()
  std::span<Byte> pages_;       // ours otherwise
  std::span<Byte> bytes_;
};

// The first `limit` bytes of a file, or all of it when it is shorter.
Result<Vector<Byte>> read_head(fs::File& file, usize limit);

}  // namespace console
