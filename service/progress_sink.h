// SPDX-License-Identifier: GPL-2.0-or-later
// Somebody who watches a long work and may stop it: a person at the console, or nobody.
#pragma once

#include "kernel/base/types.h"

namespace service {

class ProgressSink {
 public:
  // So much is done. Called on the thread that does the work, after each piece.
  virtual void on_progress(u64 done, u64 total) = 0;
  // True once the person has had enough; the work then ends with kCancelled.
  virtual bool stopped() = 0;

 protected:
  ~ProgressSink() = default;
};

}  // namespace service
