// SPDX-License-Identifier: GPL-2.0-or-later
// Chooses how far ahead products ask for their weights. No vendor's name tells that, so real
// products are timed on all workers, over more memory than most caches hold. Bits never depend on
// the choice (KernelTable::prefetch).
#pragma once

#include <iterator>

#include "ai/kernels/table.h"
#include "ai/platform.h"

namespace ai {

// The settings that the probe compares. The first is the usual one.
constexpr Prefetch kPrefetchSettings[] = {kUsualPrefetch, {2048, 0}, {16384, 0}, {4096, 8192}};
constexpr u32 kProbeRounds = 5;

// The nanoseconds that one setting took in each round.
struct ProbeTimes {
  u64 ns[kProbeRounds] = {};
  u64 median() const;
};

// Returns the index of the lowest median. Setting 0 stays unless another one is 3 % faster, so that
// noise does not choose. `times` is not empty.
usize best_setting(std::span<const ProbeTimes> times);

enum class ProbeEnd : u8 {
  kMeasured,
  kMemory,  // the memory is too small to be larger than the caches
  kSlow,    // the CPU would take far too long, as emulated ones do
};

struct ProbeResult {
  ProbeEnd end = ProbeEnd::kMeasured;
  Prefetch prefetch = kUsualPrefetch;  // also if nothing was measured
  u64 bytes_a_run = 0;
  u64 usual_ns = 0, best_ns = 0;  // the medians of the usual setting and of the chosen one
};

constexpr usize kProbeBytes = 64 * kMiB;

// Overwrites `memory`, which should have kProbeBytes; with less than a half it measures nothing.
// Takes some 10 ms where all CPUs together read 40 GB/s. Uses all workers and breathes, so only a
// thread that may call Platform::run_on_workers() calls it.
ProbeResult probe_prefetch(const KernelTable& kernels, std::span<Byte> memory, Platform& platform);

// Reads bytes ahead, such as "4096", or for both caches "4096+8192". Returns false, and leaves
// `out` as it is, if `text` is neither or has a number above kMostPrefetch.
constexpr u32 kMostPrefetch = 1u << 20;
bool parse_prefetch(std::string_view text, Prefetch& out);
// Writes it in that form.
void write_prefetch(base::Writer& out, Prefetch prefetch);

}  // namespace ai
