// SPDX-License-Identifier: GPL-2.0-or-later
// Engines of models whose experts stay in their file. For the thread that loads; the engine is used
// like any other (engine.h).
#pragma once

#include "ai/engine/engine.h"
#include "ai/models/expert_figures.h"
#include "ai/models/expert_file.h"

namespace ai {

struct StreamOptions {
  u64 expert_bytes = 0;  // memory for experts; 0 = what is left
  u64 memory_bytes = 0;  // for everything; 0 = whatever the platform gives
  // Chunks of a prompt may be longer than EngineOptions::prefill_chunk, because each chunk reads
  // every expert that it uses once.
  bool grow_chunk = false;
};

// The memory of such a model and its use, known from the beginning of its file.
struct StreamPlan {
  MemoryPlan memory;  // its weights are the resident ones and the slots
  u64 resident_bytes = 0, slots_bytes = 0;
  u32 slots = 0, experts = 0;    // experts in memory at once, and all of them
  u64 expert_bytes_a_token = 0;  // that a token uses
};

// Returns kUnsupported for a model without experts, and kOutOfMemory if it does not fit even so.
// The log has the numbers. No reader is needed.
Result<StreamPlan> plan_streamed(const StreamedFile& file, Platform& platform,
                                 const EngineOptions& options, const StreamOptions& streaming);

struct StreamedEngine {
  base::Owner<Engine> engine;
  StreamPlan plan;
  const ExpertFigures* figures = nullptr;  // valid as long as the engine
};
// Loads the model as planned. The engine keeps the file. Its text is the same as with all of the
// model in memory. `watcher` may be null.
Result<StreamedEngine> load_streamed(StreamedFile file, Platform& platform,
                                     const EngineOptions& options, const StreamOptions& streaming,
                                     ReadWatcher* watcher);

}  // namespace ai
