// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the choice: the option, the cases in which nothing can be measured, the probe.
#include "service/prefetch.h"

#include <optional>

#include "ai/kernels/probe.h"
#include "kernel/log.h"
#include "kernel/mm/memory.h"
#include "kernel/options.h"
#include "kernel/time/clock.h"
#include "service/ai_platform.h"

namespace service {
namespace {

constexpr Option kPrefetch{"prefetch", OptionKind::kText, "auto", "auto|BYTES|BYTES+BYTES",
                           "bytes ahead that weights are prefetched, into L1 and into L2; auto "
                           "measures, 0 = none"};
KERNEL_OPTION(kPrefetch);

// The weights of smaller models stay in the caches of many CPUs. Their first answer would wait
// longer for the probe than it gains.
constexpr u64 kLeastModel = 48 * kMiB;
// The probe takes no more than this part of the memory that is free.
constexpr u64 kMemoryShare = 4;

constinit std::optional<PrefetchChoice> found;  // by the probe, or why it never can

PrefetchChoice usual_because(const char* reason) {
  return {ai::kUsualPrefetch, reason};
}

std::optional<PrefetchChoice> from_option() {
  std::string_view text = options::text(kPrefetch);
  if (text == "auto") return {};
  PrefetchChoice choice{.prefetch = {}, .reason = "by the option prefetch="};
  if (ai::parse_prefetch(text, choice.prefetch)) return choice;
  log::warn("engine",
            "prefetch={} is not used: give auto, bytes up to {}, or two such numbers as "
            "4096+8192",
            text, ai::kMostPrefetch);
  return {};
}

// Gigabytes a second, which are bytes a nanosecond.
base::Decimal rate(u64 bytes, u64 ns) {
  return base::ratio(bytes, ns, 1);
}

PrefetchChoice measured(const ai::KernelTable& kernels, std::span<Byte> memory) {
  u64 begin = timing::now_ns();
  ai::ProbeResult result = ai::probe_prefetch(kernels, memory, ai_platform());
  if (result.end != ai::ProbeEnd::kMeasured)
    return usual_because("the usual distance: this CPU is too slow to measure");
  char text[32];
  base::BufferWriter distance(text);
  ai::write_prefetch(distance, result.prefetch);
  log::info("engine", "weights are asked for {} bytes ahead: {} GB/s, with the usual {} {}; {} ms",
            distance.view(), rate(result.bytes_a_run, result.best_ns), ai::kUsualPrefetch.near,
            rate(result.bytes_a_run, result.usual_ns), (timing::now_ns() - begin) / 1'000'000);
  return {result.prefetch, "measured on this machine"};
}

}  // namespace

PrefetchChoice choose_prefetch(std::string_view kernels, u64 model_bytes) {
  if (std::optional<PrefetchChoice> wanted = from_option()) return *wanted;
  if (found.has_value()) return *found;
  if (model_bytes < kLeastModel) return usual_because("the usual distance: the model is small");
  CpuFeatures have = ai_platform().cpu_features();
  Result<ai::KernelTable> table = ai::kernels_by_name(kernels, have);
  // The load that follows names the mistake.
  if (!table.has_value()) return usual_because("the usual distance");
  if (have.has(CpuFeature::kEmulated)) {
    found = usual_because("the usual distance: this CPU is emulated");
    return *found;
  }
  // A later load may find more memory, so this is not kept.
  constexpr const char* kShort = "the usual distance: too little memory to measure";
  if (mm::usage().of(mm::Purpose::kFree) / kMemoryShare < ai::kProbeBytes)
    return usual_because(kShort);
  auto memory = mm::allocate_pages({.bytes = ai::kProbeBytes,
                                    .purpose = mm::Purpose::kEngine,
                                    .align = mm::kLargePageBytes,
                                    .zeroed = false});
  if (!memory.has_value()) return usual_because(kShort);
  found = measured(*table, *memory);
  mm::free_pages(*memory);
  return *found;
}

void print_prefetch(base::Writer& out, const PrefetchChoice& choice) {
  ai::write_prefetch(out, choice.prefetch);
  base::format_to(out, " bytes ahead, {}", choice.reason);
}

}  // namespace service
