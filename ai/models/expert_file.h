// SPDX-License-Identifier: GPL-2.0-or-later
// The division of a model whose experts stay in its file: everything else, the resident tensors, is
// read into memory in runs, and the experts' tensors are only described. For the thread that loads.
#pragma once

#include <utility>

#include "ai/file_reader.h"
#include "ai/models/hyperparameters.h"
#include "kernel/base/bytes.h"

namespace ai {

// The sizes of such a model, known from the header alone.
struct ExpertSizes {
  u32 all_layers = 0;
  u32 layers = 0;          // that have experts; 0: the model has none
  u32 experts = 0;         // of each of them
  u32 used = 0;            // by one token in one layer
  u64 expert_bytes = 0;    // of all experts, as the file has them
  u64 slot_bytes = 0;      // room for any one of them
  u64 resident_bytes = 0;  // room for all other tensors
  u64 count() const { return u64{layers} * experts; }
};
Result<ExpertSizes> expert_sizes(const GgufFile& file, const Hyperparameters& params);

// A matrix of an expert is read with what surrounds it up to the next multiples of kReadAlignment.
constexpr u64 matrix_room(u64 bytes) {
  return base::round_up(bytes, kReadAlignment) + kReadAlignment;
}

// Pages of a platform, given back by the destructor.
class PlatformPages {
 public:
  static Result<PlatformPages> create(Platform& platform, usize bytes, const char* purpose) {
    return PlatformPages(platform, TRY(platform.allocate_pages(bytes, purpose)));
  }
  PlatformPages(PlatformPages&& other) noexcept
      : platform_(other.platform_), pages_(std::exchange(other.pages_, {})) {}
  PlatformPages& operator=(PlatformPages&&) = delete;
  ~PlatformPages() {
    if (!pages_.empty()) platform_->free_pages(pages_);
  }
  std::span<Byte> view() const { return pages_; }

 private:
  PlatformPages(Platform& platform, std::span<Byte> pages) : platform_(&platform), pages_(pages) {}
  Platform* platform_;
  std::span<Byte> pages_;
};

// A model file of which only the beginnings are in memory.
struct StreamedFile {
  Vector<Vector<Byte>> heads;  // of each part, with its whole header
  Vector<u64> bytes;           // of each part
  base::Owner<FileReader> reader;
};

class ResidentTensors {
 public:
  static Result<ResidentTensors> plan(const GgufFile& file);
  u64 bytes() const { return bytes_; }
  // Reads all runs into `memory`, which has bytes() bytes. `watcher` may be null.
  Result<void> read(FileReader& reader, std::span<Byte> memory, ReadWatcher* watcher) const;
  // Lets the views of the resident tensors point into `memory`, and marks the experts' tensors as
  // staying in the file (ai/gguf/placement.h).
  void place(GgufFile& file, std::span<Byte> memory) const;

 private:
  // Neighbouring tensors, with what lies between them.
  struct Run {
    u32 part = 0;
    u64 begin = 0, end = 0;  // in the part; begin is a multiple of kReadAlignment
    u64 at = 0;              // in the memory
    u64 room() const { return base::round_up(end - begin, kReadAlignment); }
  };
  class Reading;
  Vector<Run> runs_;  // by part and offset
  u64 bytes_ = 0;
};

// Reads the first bytes of tensors that stay in the file.
class TensorSamples {
 public:
  // `most` is the largest number of bytes that will be asked for.
  static Result<TensorSamples> create(FileReader& reader, usize most, Platform& platform);
  // Valid until the next call.
  Result<std::span<const Byte>> first_of(const GgufTensor& tensor, usize bytes);

 private:
  TensorSamples(FileReader& reader, PlatformPages pages)
      : reader_(reader), pages_(std::move(pages)) {}
  FileReader& reader_;
  PlatformPages pages_;
};

}  // namespace ai
