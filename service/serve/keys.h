// SPDX-License-Identifier: GPL-2.0-or-later
// Keys from a file, which may change while the server runs.
#pragma once

#include "ai/openai/service.h"

namespace service {

// The file of api_key.file=: a key a line, "admin KEY" for one of those, # comments; KEY may be
// sha256:HEX. A file that cannot be read, has no key or a broken one changes nothing, and that is
// logged once.
class KeyFile {
 public:
  static bool chosen();
  // The first look, before anybody is served. Waits for a disk, as watch() does.
  Result<void> read(ai::openai::Service& service);
  // Looks again.
  void watch(ai::openai::Service& service);

 private:
  crypto::Sha256Digest seen_{};
  bool read_ = false;
  const char* problem_ = "";  // of the last look, a literal
};

}  // namespace service
