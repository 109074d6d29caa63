// SPDX-License-Identifier: GPL-2.0-or-later
// A part of a model in memory: in place where the loader put it, else read in pieces by a thread of
// its own, so that the person sees how far it is, may stop it, and what has come is worked on while
// the disk goes on.
#pragma once

#include "kernel/fs/file_system.h"
#include "service/progress_sink.h"

namespace service {

// Follows a file on its way into memory. Not asked where the file is in memory already.
class Arrival {
 public:
  // The first `bytes` of `whole` are there now, and may be rewritten.
  virtual Result<void> on_bytes(std::span<Byte> whole, u64 bytes) = 0;

 protected:
  ~Arrival() = default;
};

class ModelImage {
 public:
  // `before` bytes of the model have been read already, of `total`. kCancelled when the watcher
  // stops it.
  struct Place {
    u64 before, total;
    ProgressSink* watcher;  // null: nobody watches
    Arrival* arrival = nullptr;
    u64* done = nullptr;  // kept up to date: how many bytes of the model have been read
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
  // They are only read from now on.
  void settle() {
    if (file_ != nullptr) file_->settle();
  }

 private:
  void swap(ModelImage& other);
  base::Owner<fs::File> file_;  // set when bytes_ is its map()
  std::span<Byte> pages_;       // ours otherwise
  std::span<Byte> bytes_;
};

// The first `limit` bytes of a file, or all of it when it is shorter.
Result<Vector<Byte>> read_head(fs::File& file, usize limit);

}  // namespace service
