// SPDX-License-Identifier: GPL-2.0-or-later
// From a model file to an engine: reading, checking, interleaving; and what a model is without
// loading it. Any thread of CPU 0; waits for disks and gives way meanwhile.
#pragma once

#include "ai/engine/engine.h"
#include "ai/gguf/pack.h"
#include "service/model_image.h"
#include "service/model_store.h"
#include "service/progress_sink.h"

namespace service {

// How far a loading is, for those who did not ask for it. `stage` is null when there is none.
struct LoadStage {
  const char* stage = nullptr;  // "reading", "checking", "preparing"
  u64 bytes_done = 0, bytes_total = 0, start_ns = 0;
};

// A model in memory and its engine.
struct LoadedModel {
  ModelFile file;
  Vector<ModelImage> images;  // outlive the engine: declared before it
  base::Owner<ai::Engine> engine;
  u64 load_ns = 0;
};

// kCancelled when `watcher` (may be null) stops it. `stage` is kept up to date.
Result<base::Owner<LoadedModel>> open_model(const ModelFile& file, ProgressSink* watcher,
                                            LoadStage& stage);

// A boot module is rearranged where the loader put it, so a second load would read nonsense.
bool is_boot_module(const ModelFile& file);

// What a model is and what loading it would take.
struct ModelFacts {
  ai::ModelSummary model;
  u64 needed_bytes = 0;   // beside what it has already; 0 when it is loaded
  bool in_place = false;  // a boot module: its bytes are in memory
};
Result<ModelFacts> inspect_model(const ModelFile& file);
// The same of a loaded model whose file can no longer be read.
Result<ModelFacts> facts_of(const ai::Engine& engine);

// Part `index` of a loaded model's file as it was before loading rearranged it.
Result<void> write_original(const LoadedModel& model, u32 index, ai::ByteSink& out);
// Over all bytes of a loaded model as they lie in memory, on all workers; the same until a bit
// changes. 0 when there are none.
u64 weights_checksum(const LoadedModel& model);
// Turns one bit of a weight, or back: for tests of those checks.
Result<void> flip_weight_bit(LoadedModel& model);

}  // namespace service
