// SPDX-License-Identifier: GPL-2.0-or-later
// The table of model families. A row describes an architecture as data and names the function that
// computes one of its layers.
#pragma once

#include "ai/models/hyperparameters.h"
#include "ai/models/weights.h"

namespace ai {

class Step;

enum class NormKind : u8 { kRms, kLayer };
// The two values of a head that RoPE rotates together: neighbours (2i, 2i + 1) or halves (i, i +
// n/2).
enum class RopeKind : u8 { kNone, kNeighbours, kHalves };
enum class FfnKind : u8 { kSiluGated, kGeluGated, kReluSquaredGated, kGelu };
// The place of the norms: before a branch, behind it, both, or once before both branches, which
// then compute from the same input.
enum class NormPlace : u8 { kBefore, kBehind, kBoth, kShared };

// Short names for the tables on the families' pages.
namespace family_words {
using enum NormKind;
using enum NormPlace;
using enum RopeKind;
using enum FfnKind;
constexpr bool kHeadNorms = true, kNoHeadNorms = false;
}  // namespace family_words

// Computes a layer of the usual kind: attention, then feed-forward, with the norms where the
// architecture has them.
void decoder_layer(Step& step, u32 layer);

struct Architecture {
  const char* name;  // general.architecture
  NormKind norm;
  NormPlace place;
  RopeKind rope;
  FfnKind ffn;
  bool head_norms = false;  // q and k are normed before RoPE
  // Reads and checks numbers that only this family has; null if there are none.
  Result<void> (*read)(const ParamReader& file, Hyperparameters& params) = nullptr;
  // Checks that a layer has the weights it must have; null: check_layer.
  Result<void> (*check)(Platform& platform, const LayerWeights& weights,
                        const Hyperparameters& params, u32 layer) = nullptr;
  void (*layer)(Step& step, u32 layer) = decoder_layer;
};

// The rows of every page. families.cpp joins them.
extern const std::span<const Architecture> kLlamaFamily, kGptFamily, kPhiFamily, kGemmaFamily,
    kMoeFamily, kDeepseekFamily, kMambaFamily, kBertFamily, kBitnetFamily;

std::span<const std::span<const Architecture>> families();
const Architecture* find_architecture(std::string_view name);  // null if the name is unknown

}  // namespace ai
