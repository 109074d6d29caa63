// SPDX-License-Identifier: GPL-2.0-or-later
// Reads two sources, tests the health of each while it is read, and hashes both with SHA-256.
#include "kernel/crypto/entropy.h"

#include <algorithm>

#include "kernel/arch_contract.h"
#include "kernel/crypto/sha256.h"

namespace crypto {
namespace {

// Words for a seed of 256 bits. 1024 bits are read in case each has only a quarter bit of entropy.
constexpr u32 kHardwareWords = 16;
constexpr u32 kTimings = 2048;    // if used alone, in case each holds only an eighth of a bit
constexpr u32 kFewTimings = 128;  // if used beside the hardware's words
// The longest run of equal samples: 2^-64 is the chance of more for the hardware's words, 2^-20 for
// timings of half a bit.
constexpr u32 kMostEqualWords = 2, kMostEqualTimings = 41;

template <class T>
void mix(Sha256& hash, const T& value) {
  hash.update({reinterpret_cast<const Byte*>(&value), sizeof value});
}

bool mix_hardware(Sha256& hash) {
  HealthTest test(kMostEqualWords);
  for (u32 i = 0; i < kHardwareWords; i++) {
    Result<u64> word = arch::Cpu::hardware_random();
    if (!word.has_value()) return false;
    test.add(*word);
    mix(hash, *word);
  }
  return test.healthy();
}

// Mixes in how long walks through memory take, which varies with caches, interrupts and clocks.
// Returns false if the samples look dead.
bool mix_jitter(Sha256& hash, u32 timings) {
  static volatile Byte walked[4096];
  HealthTest test(kMostEqualTimings);
  u64 last = arch::Cpu::now_ticks();
  u32 at = 0;
  for (u32 i = 0; i < timings; i++) {
    for (u32 step = 0; step < 16; step++) {
      at = (at * 1103515245 + 12345 + static_cast<u32>(last)) % sizeof walked;
      walked[at] = static_cast<Byte>(walked[at] + 1);
    }
    u64 now = arch::Cpu::now_ticks();
    test.add(now - last);
    mix(hash, now - last);
    last = now;
  }
  return test.healthy();
}

}  // namespace

void HealthTest::add(u64 sample) {
  bool same = different_ > 0 && sample == last_;
  repeats_ = same ? repeats_ + 1 : 1;
  different_ += same ? 0 : 1;
  stuck_ |= repeats_ >= most_repeats_;
  last_ = sample;
}

Result<void> entropy(std::span<Byte> out) {
  static constinit u64 calls = 0;
  while (!out.empty()) {
    Sha256 hash;
    mix(hash, ++calls);
    bool hardware = mix_hardware(hash);
    bool jitter = mix_jitter(hash, hardware ? kFewTimings : kTimings);
    if (!hardware && !jitter)
      return fail(Errc::kUnsupported,
                  "this machine has no random numbers that are good enough for secrets");
    Sha256Digest digest = hash.finish();
    usize part = std::min(out.size(), digest.size());
    std::copy_n(digest.begin(), part, out.begin());
    out = out.subspan(part);
  }
  return {};
}

}  // namespace crypto
