// SPDX-License-Identifier: GPL-2.0-or-later
// API keys from a file, which may change while the server runs.
#pragma once

#include "ai/openai/service.h"

namespace service {

// The file of api_key.file= has one key per line, "admin KEY" for an admin key, and # comments. KEY
// may be sha256:HEX. If the file cannot be read, has no key or has a broken line, the keys stay as
// they were and one line is logged. Used on the thread "http-files", because it waits for a disk.
class KeyFile {
 public:
  static bool chosen();
  // Reads the file before the first client is served. Waits for a disk, as watch() does.
  Result<void> read(ai::openai::Service& service);
  // Reads the file again if it has changed.
  void watch(ai::openai::Service& service);

 private:
  crypto::Sha256Digest seen_{};
  bool read_ = false;
  const char* problem_ = "";  // what the last attempt found wrong; a literal
};

}  // namespace service
