// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the probe: products of Q4_K and Q6_K, the formats of most model files, over one slice
// of memory after another. A slice comes again only after all the others, when caches have lost it.
#include "ai/kernels/probe.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "ai/quant/quant.h"

namespace ai {
namespace {

constexpr u32 kColumns = 2048;
constexpr QuantType kTypes[] = {QuantType::kQ4_K, QuantType::kQ6_K};
constexpr usize kHeadBytes = 256 * kKiB;  // the activations and the results
// A worker reads a MiB or more of a slice, so that starting and stopping do not count; with very
// many workers it is less, and the probe still ends soon.
constexpr u32 kFewWorkers = 4;
constexpr usize kFewSliceBytes = 4 * kMiB, kManySliceBytes = 8 * kMiB;
// Real CPUs multiply these bytes in 10 to 100 us. A CPU that never does it in this time is
// emulated. Three tries, because something else may run meanwhile.
constexpr usize kTrialBytes = 256 * kKiB;
constexpr u32 kTrials = 3;
constexpr u64 kTrialNs = 300'000;
// No round begins later than this after the first one.
constexpr u64 kMostNs = 100'000'000;

class Probe {
 public:
  Probe(const KernelTable& kernels, std::span<Byte> memory, Platform& platform)
      : kernels_(kernels),
        memory_(memory),
        platform_(platform),
        slice_bytes_(platform.worker_count() <= kFewWorkers ? kFewSliceBytes : kManySliceBytes) {}

  ProbeResult run() {
    if (memory_.size() < kProbeBytes / 2) return {.end = ProbeEnd::kMemory};
    clear(memory_.first(kHeadBytes + kTrialBytes));
    if (!is_quick()) return {.end = ProbeEnd::kSlow};
    clear(memory_);
    if (!measure()) return {.end = ProbeEnd::kSlow};
    usize best = best_setting(times_);
    return {.prefetch = kPrefetchSettings[best],
            .bytes_a_run = slice_bytes_ * std::size(kTypes),
            .usual_ns = times_[0].median(),
            .best_ns = times_[best].median()};
  }

 private:
  // Weights of zero are as fast as others; what the memory held before may be NaN or denormal.
  void clear(std::span<Byte> bytes) {
    constexpr u32 kPiece = 64 * kKiB;
    u32 pieces = static_cast<u32>(bytes.size() / kPiece);
    parallel_ranges(platform_, pieces, 1, [&](u32 first, u32 last, u32) {
      std::memset(bytes.data() + usize{first} * kPiece, 0, usize{last - first} * kPiece);
    });
  }

  bool is_quick() {
    for (u32 i = 0; i < kTrials; i++) {
      u64 begin = platform_.now_ns();
      product(kTypes[0], kHeadBytes, kTrialBytes, kUsualPrefetch);
      if (platform_.now_ns() - begin < kTrialNs) return true;
    }
    return false;
  }

  // Each round begins with another setting, so that none always follows the same one. Returns false
  // if there was no time for all rounds.
  bool measure() {
    constexpr usize kSettings = std::size(kPrefetchSettings);
    u64 start = platform_.now_ns();
    for (u32 round = 0; round < kProbeRounds; round++) {
      for (usize i = 0; i < kSettings; i++) {
        usize setting = (i + round) % kSettings;
        u64 begin = platform_.now_ns();
        for (QuantType type : kTypes)
          product(type, next_slice(), slice_bytes_, kPrefetchSettings[setting]);
        times_[setting].ns[round] = platform_.now_ns() - begin;
      }
      platform_.breathe();
      if (round + 1 < kProbeRounds && platform_.now_ns() - start > kMostNs) return false;
    }
    return true;
  }

  usize next_slice() {
    usize slices = (memory_.size() - kHeadBytes) / slice_bytes_;
    return kHeadBytes + slice_++ % slices * slice_bytes_;
  }

  // Multiplies the whole groups of 16 rows that the bytes at `offset` hold with one vector.
  void product(QuantType type, usize offset, usize bytes, Prefetch prefetch) {
    usize group_bytes = kGroupRows * row_bytes(type, kColumns);
    ActivationType activation = quant_info(type).activation;
    usize activation_size = activation_bytes(activation, kColumns);
    u32 groups = static_cast<u32>(bytes / group_bytes);
    MatMul whole{.groups = memory_.data() + offset,
                 .group_bytes = group_bytes,
                 .columns = kColumns,
                 .rows = groups * kGroupRows,
                 .first_group = 0,
                 .last_group = groups,
                 .activations = memory_.data(),
                 .activation_bytes = activation_size,
                 .batch = 1,
                 .out = reinterpret_cast<float*>(memory_.data() + activation_size),
                 .out_stride = groups * kGroupRows,
                 .accumulate = false,
                 .prefetch = prefetch};
    auto multiply = kernels_.mat_mul[static_cast<usize>(type)];
    parallel_ranges(platform_, groups, 1, [&](u32 first, u32 last, u32) {
      MatMul part = whole;
      part.first_group = first;
      part.last_group = last;
      multiply(part);
    });
  }

  const KernelTable& kernels_;
  std::span<Byte> memory_;
  Platform& platform_;
  const usize slice_bytes_;
  ProbeTimes times_[std::size(kPrefetchSettings)];
  usize slice_ = 0;
};

bool parse_distance(std::string_view text, u32& out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && out <= kMostPrefetch;
}

}  // namespace

u64 ProbeTimes::median() const {
  u64 sorted[kProbeRounds];
  std::ranges::copy(ns, sorted);
  std::ranges::sort(sorted);
  return sorted[kProbeRounds / 2];
}

usize best_setting(std::span<const ProbeTimes> times) {
  usize best = 0;
  for (usize i = 1; i < times.size(); i++)
    if (times[i].median() < times[best].median()) best = i;
  u64 usual = times[0].median();
  return times[best].median() < usual - usual * 3 / 100 ? best : 0;
}

ProbeResult probe_prefetch(const KernelTable& kernels, std::span<Byte> memory, Platform& platform) {
  return Probe(kernels, memory, platform).run();
}

bool parse_prefetch(std::string_view text, Prefetch& out) {
  usize plus = text.find('+');
  Prefetch read;
  if (!parse_distance(text.substr(0, plus), read.near)) return false;
  if (plus != std::string_view::npos && !parse_distance(text.substr(plus + 1), read.far))
    return false;
  out = read;
  return true;
}

void write_prefetch(base::Writer& out, Prefetch prefetch) {
  base::format_to(out, "{}", prefetch.near);
  if (prefetch.far != 0) base::format_to(out, "+{}", prefetch.far);
}

}  // namespace ai
