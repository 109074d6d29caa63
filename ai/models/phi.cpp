// SPDX-License-Identifier: GPL-2.0-or-later
// Microsoft's Phi. Phi-2 has one layer norm, computes attention and a gelu net from the same input,
// and rotates only part of each head. Phi-3 (arXiv 2404.14219) is a Llama whose q, k, v are one
// matrix, as are gate and up; long contexts use two sets of RoPE factors (longrope, arXiv
// 2402.13753).
#include "ai/models/family.h"
#include "ai/models/forward.h"

namespace ai {
namespace {

Result<void> read_phi3(const ParamReader& r, Hyperparameters& p) {
  p.window = TRY(r.number("attention.sliding_window", 0));
  if (p.window >= p.trained_context) p.window = 0;  // the larger models write "no window" like this
  return {};
}

using namespace family_words;

constexpr Architecture kRows[] = {
    {"phi2", kLayer, kShared, kHalves, kGelu},
    {"phi3", kRms, kBefore, kHalves, kSiluGated, kNoHeadNorms, read_phi3},
};

}  // namespace

constinit const std::span<const Architecture> kPhiFamily = kRows;

}  // namespace ai
