// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the experts of a loaded model from its file. Several threads "expert-read" of CPU 0 take
// reads from a queue; each sleeps while its disk works, so as many reads are in flight as there are
// threads, and each of them is split and kept in flight as deep as the disk's queue is
// (kernel/dev/block_device.h).
#pragma once

#include <algorithm>

#include "ai/engine/streamed.h"
#include "kernel/fs/file_system.h"
#include "service/model_store.h"

namespace service {

// How fast a file can be read, in bytes a second.
struct DiskRate {
  u64 bytes = 0, ns = 0;
  u64 per_second() const { return ns == 0 ? 0 : bytes * 1000 / std::max<u64>(ns / 1'000'000, 1); }
};

class ExpertReader final : public ai::FileReader {
 public:
  // Opens all parts of the model's file and starts the threads.
  static Result<base::Owner<ExpertReader>> open(const ModelFile& file);
  // Reads from files that are open already.
  static Result<base::Owner<ExpertReader>> create(Vector<base::Owner<fs::File>> parts);

  struct Shared;
  explicit ExpertReader(Shared& shared);
  ExpertReader(const ExpertReader&) = delete;
  ExpertReader& operator=(const ExpertReader&) = delete;
  // Does not wait: the threads, of which none reads, close the files when they notice.
  ~ExpertReader() override;

  void begin(ai::FileRead& read) override;
  void start() override;
  void wait() override;
  void stop() override;
  u64 part_bytes(u32 part) const;

  // The facts that are known of a loaded model which this reader reads.
  struct Facts {
    String path;  // of the model's file
    ai::StreamPlan plan;
    const ai::ExpertFigures* figures = nullptr;
    DiskRate rate;  // measured when the model was loaded
  };
  Facts facts;
  // Returns the facts of the model that was loaded from this file, or null if all of it is in
  // memory. Valid until the next yield.
  static const Facts* of(std::string_view path);

 private:
  Shared* shared_;
  ExpertReader* next_reader_;
};

// Measures how fast a file can be read, over its first part of the file, at most some 64 MiB of it.
// Sleeps.
Result<DiskRate> measure_disk(const ModelFile& file);

}  // namespace service
