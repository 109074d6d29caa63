// SPDX-License-Identifier: GPL-2.0-or-later
// Entropy for secrets: the processor's random numbers and the jitter of its timing, mixed.
#pragma once

#include <span>

#include "kernel/base/result.h"

namespace crypto {

// Fills `out`. Returns kUnsupported if neither source is good enough; there can then be no secrets.
// Slow (thousands of timings if the processor has no random numbers), so it only seeds generators.
// For threads.
Result<void> entropy(std::span<Byte> out);

// Tests whether samples look alive (NIST SP 800-90B 4.4.1, and at least eight different values).
class HealthTest {
 public:
  // Fails at `most_repeats` equal samples in a row.
  explicit HealthTest(u32 most_repeats) : most_repeats_(most_repeats) {}
  void add(u64 sample);
  bool healthy() const { return !stuck_ && different_ >= kLeastDifferent; }

 private:
  static constexpr u32 kLeastDifferent = 8;
  u32 most_repeats_;
  u64 last_ = 0;
  u32 repeats_ = 0, different_ = 0;
  bool stuck_ = false;
};

}  // namespace crypto
