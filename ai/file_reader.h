// SPDX-License-Identifier: GPL-2.0-or-later
// Reads from a model's file that go on while the engine computes. Implemented by
// service/expert_reader.cpp and by tests. For the thread that loads and, afterwards, the engine's.
#pragma once

#include <span>

#include "kernel/base/result.h"

namespace ai {

// Offset, address and size of a read are multiples of this, so that a disk moves the bytes to their
// place by itself.
constexpr usize kReadAlignment = 4096;

// One read. Its owner keeps it in place from begin() until it has ended.
struct FileRead {
  u32 part = 0;         // of a split file
  u64 offset = 0;       // in that part
  std::span<Byte> out;  // may reach past the end of the file
  usize least = 0;      // fewer bytes than this are an error
  bool ended = true;
  Result<void> status;       // once it has ended
  FileRead* next = nullptr;  // used by the reader
};

class FileReader {
 public:
  virtual ~FileReader() = default;
  // Puts a read into the queue. Does not wait. Every error is told in `status`.
  virtual void begin(FileRead& read) = 0;
  // Lets the reads of the queue reach the disk. Other threads of CPU 0 run meanwhile.
  virtual void start() = 0;
  // Sleeps until a read has ended, but at most some ten milliseconds. Callers look at their reads
  // in a loop around it.
  virtual void wait() = 0;
  // Withdraws the reads that have not reached the disk, which end with kCancelled, and sleeps until
  // the others have ended.
  virtual void stop() = 0;
};

// Follows what is read while a model is loaded.
class ReadWatcher {
 public:
  virtual bool on_bytes(u64 done, u64 total) = 0;  // returning false ends the load (kCancelled)

 protected:
  ~ReadWatcher() = default;
};

}  // namespace ai
