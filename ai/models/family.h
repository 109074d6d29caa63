// SPDX-License-Identifier: GPL-2.0-or-later
// The table of model families: what distinguishes them as data, and one layer function each.
#pragma once

#include "ai/models/hyperparameters.h"
#include "ai/models/weights.h"

namespace ai {

class Step;

enum class NormKind : u8 { kRms, kLayer };
// Which values of a head turn together: neighbours (2i, 2i + 1) or halves (i, i + n/2).
enum class RopeKind : u8 { kNone, kNeighbours, kHalves };
enum class FfnKind : u8 { kSiluGated, kGeluGated, kGelu };
// Where the norms stand: before a branch, behind it, both, or one before both branches, which
// then run side by side from the same input.
enum class NormPlace : u8 { kBefore, kBehind, kBoth, kShared };

// The words that the pages' tables are written in.
namespace family_words {
using enum NormKind;
using enum NormPlace;
using enum RopeKind;
using enum FfnKind;
constexpr bool kHeadNorms = true, kNoHeadNorms = false;
}  // namespace family_words

// A layer of the usual kind: attention, then feed-forward, with the norms where `place` says.
void decoder_layer(Step& step, u32 layer);

struct Architecture {
  const char* name;  // general.architecture
  NormKind norm;
  NormPlace place;
  RopeKind rope;
  FfnKind ffn;
  bool head_norms = false;  // q and k are normed before they turn
  // Further numbers and checks of the family; null when the common ones are all.
  Result<void> (*read)(const ParamReader& file, Hyperparameters& params) = nullptr;
  // Which weights a layer must have; null: check_layer.
  Result<void> (*check)(Platform& platform, const LayerWeights& weights,
                        const Hyperparameters& params, u32 layer) = nullptr;
  void (*layer)(Step& step, u32 layer) = decoder_layer;
};

// Every page's rows; ai/models/families.cpp joins them.
extern const std::span<const Architecture> kLlamaFamily, kGptFamily, kPhiFamily, kGemmaFamily,
    kMoeFamily, kDeepseekFamily, kMambaFamily;

std::span<const std::span<const Architecture>> families();
const Architecture* find_architecture(std::string_view name);  // null when unknown

}  // namespace ai
