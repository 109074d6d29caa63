// SPDX-License-Identifier: GPL-2.0-or-later
// Follows long work and may stop it, for example for a person at the console.
#pragma once

#include "kernel/base/types.h"

namespace service {

class ProgressSink {
 public:
  // Called on the working thread after each piece.
  virtual void on_progress(u64 done, u64 total) = 0;
  // Returns true once the person wants to stop. The work then returns kCancelled.
  virtual bool stopped() = 0;

 protected:
  ~ProgressSink() = default;
};

}  // namespace service
