// SPDX-License-Identifier: GPL-2.0-or-later
// Fetches a file over the network and puts it on a disk: a model as a bundle, or what another kind
// of goods makes of it. For threads of CPU 0; waits for the network and for disks.
//
// A connection that breaks is tried again, and goes on where it ended. What has come stays on the
// disk after a power cut, after the last try and after a stop, and the next pull of the same file
// goes on. Wrong bytes are removed.
#pragma once

#include "service/incoming.h"

namespace service {

struct PullOrder {
  std::string_view source = "";  // see find_remote()
  std::string_view root = "";    // the mount point or folder that gets the shelf; "" = chosen
  std::string_view name = "";    // of the bundle; "" = the source's
  std::string_view sha256 = "";  // 64 digits that the bytes must have; "" = what the source says
  std::string_view token = "";   // Hugging Face's
};

// Follows a pull: on_progress() counts the bytes of the model that have come.
class PullWatcher : public ProgressSink {
 public:
  virtual void on_note(std::string_view sentence) = 0;  // something that a person wants to know
  // The bytes that the disk had from an earlier attempt, or those that were written, are read.
  virtual void on_check(u64 done, u64 total) = 0;
  // The server has answered: the model gets this name, and its bytes must have this SHA-256 (null:
  // nobody knows it).
  virtual void on_begin(std::string_view, const crypto::Sha256Digest*, u64 /*total*/) {}
  virtual void on_manifest() {}  // all bytes are right, and are put to use now

 protected:
  ~PullWatcher() = default;
};

struct Pulled {
  String folder;
  u64 bytes = 0;
  u64 fetched = 0;        // of them in this call
  bool verified = false;  // the bytes have the SHA-256 that was known of them before
  bool present = false;   // the disk had the model already, and nothing was fetched
};

// Says what a pull fetches, and what becomes of it.
class PullGoods {
 public:
  virtual std::string_view shelf() const = 0;  // the folder of the disk: "models"
  virtual std::string_view file_name() const = 0;
  virtual usize head_bytes() const = 0;  // which tell whether the file is one; at most 64 KiB
  // Judges the first bytes of a file of `total` bytes, fewer than head_bytes() if it has no more.
  // Nothing else was fetched or written yet.
  virtual Result<void> judge(std::span<const Byte> head, u64 total, PullWatcher& watcher) = 0;
  // Returns where the file goes if the order does not say it.
  virtual Result<String> choose_root(u64 total) const = 0;
  // Returns the folder of an earlier pull if `root` has these bytes already, or "".
  virtual Result<String> find_present(std::string_view, std::string_view /*name*/,
                                      const crypto::Sha256Digest&) const {
    return String();
  }
  // All bytes have come and were read back. Puts them to use, and ends `incoming`.
  virtual Result<void> take(Incoming& incoming, std::string_view name, u64 total,
                            const crypto::Sha256Digest& digest) = 0;

 protected:
  ~PullGoods() = default;
};

Result<Pulled> pull(const PullOrder& order, PullGoods& goods, PullWatcher& watcher);
Result<Pulled> pull_model(const PullOrder& order, PullWatcher& watcher);

// Returns what pull.to= means: the folder that gets models where nobody names one; "" if it is not
// given.
Result<String> pull_place();

}  // namespace service
