// SPDX-License-Identifier: GPL-2.0-or-later
// Names CPU features as `cpu` prints them and as errors of `kernels=` quote them.
#include "kernel/base/cpu_features.h"

#include <iterator>

const char* cpu_feature_name(CpuFeature feature) {
  constexpr const char* kNames[] = {
      "ssse3",       "sse4.1",  "avx2",   "f16c",     "avx-vnni", "avx512",       "avx512-vnni",
      "avx512-vbmi", "waitpkg", "random", "emulated", "neon",     "neon-dotprod", "neon-i8mm",
  };
  static_assert(std::size(kNames) == static_cast<usize>(CpuFeature::kCount));
  return feature < CpuFeature::kCount ? kNames[static_cast<usize>(feature)] : "unknown";
}
