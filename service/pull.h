// SPDX-License-Identifier: GPL-2.0-or-later
// Fetches a model over the network and puts it on a disk as a bundle. For threads of CPU 0; waits
// for the network and for disks.
//
// A connection that breaks is tried again, and goes on where it ended. What has come stays on the
// disk after a power cut, after the last try and after a stop, and the next pull of the same model
// goes on. Wrong bytes are removed.
#pragma once

#include "kernel/base/containers.h"
#include "kernel/crypto/sha256.h"
#include "service/progress_sink.h"

namespace service {

struct PullOrder {
  std::string_view source = "";  // see find_remote()
  std::string_view root = "";    // the mount point or folder that gets models/…; "" = chosen
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
  virtual void on_manifest() {}  // all bytes are right: the manifest follows

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

Result<Pulled> pull_model(const PullOrder& order, PullWatcher& watcher);

// Returns what pull.to= means: the folder that gets models where nobody names one; "" if it is not
// given.
Result<String> pull_place();

}  // namespace service
