// SPDX-License-Identifier: GPL-2.0-or-later
// A small random model with a tokenizer, as a file of the host, loaded by the machine's engine
// host.
#pragma once

#include <string>

#include "service/engine_host.h"

// Mounts the host's files at /host once.
void mount_host_files();

class TinyModelFile {
 public:
  // A file of this name in a folder of its own under /tmp; `seed` makes other weights.
  explicit TinyModelFile(const char* name = "tiny.gguf", u32 seed = 0);
  ~TinyModelFile();
  TinyModelFile(const TinyModelFile&) = delete;
  TinyModelFile& operator=(const TinyModelFile&) = delete;

  bool made() const { return made_; }
  const std::string& path() const { return path_; }  // as the console sees it: /host/tmp/…
  Result<void> load() const;

 private:
  std::string folder_, path_;
  bool made_ = false;
};
