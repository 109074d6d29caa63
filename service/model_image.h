// SPDX-License-Identifier: GPL-2.0-or-later
// One part of a model in memory. A boot module stays where the loader put it. Any other file is
// read in pieces on a thread of its own, so that a person sees the progress and can stop it, and so
// that arrived bytes are processed while the disk goes on. Used on the thread that loads, which
// sleeps meanwhile.
#pragma once

#include <optional>

#include "kernel/fs/file_system.h"
#include "service/progress_sink.h"

namespace service {

// Follows a file while it is read. Not called for a file that is in memory already.
class Arrival {
 public:
  // Called when the first `bytes` of `whole` have arrived; they may be rewritten now.
  virtual Result<void> on_bytes(std::span<Byte> whole, u64 bytes) = 0;

 protected:
  ~Arrival() = default;
};

class ModelImage {
 public:
  // Where this part stands in the model, `before` of `total` bytes, and who follows. Reading
  // returns kCancelled when the watcher stops it.
  struct Place {
    u64 before, total;
    ProgressSink* watcher;  // null: nobody watches
    Arrival* arrival = nullptr;
    u64* done = nullptr;  // if set, kept up to date with the bytes of the model that have been read
    // If set, a file of another size is kCorrupt before memory is taken for it.
    std::optional<u64> wanted_bytes = {};
    // The bytes are judged: nobody who writes the file may change them in memory afterwards.
    bool own = false;
    bool copy = false;  // the bytes must not be those that lie in memory already
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
  // Tells the file that its bytes are only read from now on.
  void settle() {
    if (file_ != nullptr) file_->settle();
  }

 private:
  void swap(ModelImage& other);
  base::Owner<fs::File> file_;  // set if bytes_ is the file's own mapping
  std::span<Byte> pages_;       // set if the pages were allocated here
  std::span<Byte> bytes_;
};

// Returns the first `limit` bytes of a file, or the whole file if it is shorter.
Result<Vector<Byte>> read_head(fs::File& file, usize limit);

}  // namespace service
