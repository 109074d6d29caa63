// SPDX-License-Identifier: GPL-2.0-or-later
// Keys from a file, which may change while the server runs.
#pragma once

#include "ai/openai/service.h"

namespace console {

// The file of api_key.file=: a key a line, "admin KEY" for one of those, # comments; KEY may be
// sha256:HEX. What cannot be read, or has no key, changes nothing.
class KeyFile {
 public:
  static bool chosen();
  // Looks again. The first look must succeed.
  Result<void> refresh(ai::openai::Service& service);

 private:
  crypto::Sha256Digest seen_{};
  bool read_ = false;
};

}  // namespace console
