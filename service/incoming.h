// SPDX-License-Identifier: GPL-2.0-or-later
// Takes a model that comes in, from a stick or from the network, and puts it on a disk as a bundle:
// ROOT/models/NAME/GENERATION. An update of the kernel that comes over the network waits on a shelf
// of its own until it is used. It does not know where the bytes come from.
//
// Nothing that was there before is touched. The manifest is written last, and a generation without
// one is not seen, so a model is there as a whole or not at all. What was interrupted stays, with
// the file `partial` that says what it was going to be: who brings the same model again goes on
// where it ended. One model comes in at a time. For threads of CPU 0; waits for disks.
#pragma once

#include "kernel/base/containers.h"
#include "kernel/crypto/sha256.h"
#include "kernel/fs/file_system.h"
#include "service/fast_hash.h"
#include "service/progress_sink.h"

namespace service {

struct IncomingPlan {
  std::string_view shelf = "models";
  std::string_view root = "";  // the mount point or folder that has the shelf
  std::string_view name = "";  // of the bundle
  u64 generation = 0;          // 0: the one after the newest
  u64 bytes = 0;               // of all files
  u64 largest = 0;             // bytes of the largest file
  // Says which bytes these are, for example their SHA-256 in hex: an earlier attempt is continued
  // if it said the same. A line of text of at most 255 bytes.
  std::string_view identity = "";
};

class Incoming {
 public:
  // Checks the space, removes what is left of attempts to bring something else under this name, and
  // makes the folder. Returns kFull if there is too little space, and kBusy if the generation is
  // there already or another model is coming in.
  static Result<base::Owner<Incoming>> begin(const IncomingPlan& plan);
  Incoming() = default;
  Incoming(const Incoming&) = delete;
  Incoming& operator=(const Incoming&) = delete;
  // Without finish() or abandon() what has come stays for the next attempt.
  ~Incoming();

  u64 generation() const { return generation_; }
  std::string_view folder() const { return folder_.view(); }  // ROOT/models/NAME/GENERATION

  // ---- one file after the other
  // Begins a file of `bytes` bytes. Returns how many of its first bytes the disk has already.
  Result<u64> start_file(std::string_view name, u64 bytes);
  // Takes all bytes that are there without seeing them again: their hash decides in the end.
  // `watcher` may be null.
  Result<void> skip_present(ProgressSink* watcher);
  // Takes the next bytes. What the disk has already is compared, and replaced from the first
  // difference on.
  Result<void> append(std::span<const Byte> bytes);
  u64 taken() const { return at_; }  // bytes of the current file
  // Ends the file: reads it back from the disk, and returns its digest. Returns kCorrupt if it is
  // shorter than was said, or if the disk returns other bytes than it was given.
  Result<crypto::Sha256Digest> end_file(ProgressSink* watcher);

  // ---- the end
  // Writes the manifest: from now on the model is there.
  Result<void> finish(std::string_view manifest);
  // Removes all that has come.
  Result<void> abandon();

 private:
  Result<void> choose_folder(const IncomingPlan& plan);
  Result<void> need_room(const IncomingPlan& plan) const;
  Result<void> open_folder(const IncomingPlan& plan);
  Result<usize> compare_present(std::span<const Byte> bytes);

  String folder_, path_;  // path_: of the current file
  u64 generation_ = 0;
  bool resumed_ = false;
  base::Owner<fs::File> file_;
  u64 bytes_ = 0;      // the current file's size in the end
  u64 present_ = 0;    // bytes of it that the disk has from an earlier attempt
  u64 at_ = 0;         // bytes of it that were taken
  u64 unflushed_ = 0;  // bytes that a power cut would cost
  crypto::Sha256By sha_ = fast_sha256();
};

// Removes a folder of a bundle's generation with its files, the manifest first, and the bundle's
// folder if it is empty then. Returns kBusy while a model is coming in there.
Result<void> remove_generation(std::string_view folder);

// Returns when a bundle came or went last, by the clock since boot; 0 = never.
u64 bundles_changed_ns();

// A generation that is not complete.
struct PartialModel {
  String name, folder;
  u64 generation = 0, bytes = 0;  // that are there
};
// Adds what is left of interrupted attempts in ROOT/models.
Result<void> find_partial(std::string_view root, Vector<PartialModel>& out);

}  // namespace service
