// SPDX-License-Identifier: GPL-2.0-or-later
// Turns a model file into an engine: reads, checks and interleaves it. Also describes a model
// without loading it. Any thread of CPU 0; sleeps while the disk reads and breathes while it
// computes.
#pragma once

#include "ai/engine/engine.h"
#include "ai/gguf/pack.h"
#include "service/model_image.h"
#include "service/model_store.h"
#include "service/prefetch.h"
#include "service/progress_sink.h"

namespace service {

// The progress of a load, for threads that did not start it. `stage` is null when nothing is being
// loaded.
struct LoadStage {
  const char* stage = nullptr;  // "reading", "checking", "preparing"
  u64 bytes_done = 0, bytes_total = 0, start_ns = 0;
};

// The draft model of a loaded model: a smaller one that guesses tokens (option draft=).
struct DraftState {
  String name;                    // "" if none is wanted
  const char* refused = nullptr;  // why the model works without it; null if it has it
};

// Limits what a load may take for a draft model.
struct DraftRoom {
  u64 bytes = 0;
  // Boot modules that were loaded as a model: their rows were rearranged in place.
  std::span<const std::string_view> rearranged = {};
};

// A model in memory and its engine. EngineHost owns it.
struct LoadedModel {
  ModelFile file;             // with what it was found to be worth
  Vector<ModelImage> images;  // declared before the engine, because they must outlive it
  Vector<ModelImage> draft_images;
  base::Owner<ai::Engine> engine;
  DraftState draft;
  u64 load_ns = 0;
  PrefetchChoice prefetch;  // that the engine was made with
};

// Follows the load of one model.
struct Follower {
  ProgressSink* watcher = nullptr;  // null: nobody watches
  LoadStage& stage;                 // kept up to date
};

// Loads a model. Returns kCancelled when the watcher stops it.
Result<base::Owner<LoadedModel>> open_model(const ModelFile& file, Follower follower);

// Gives a loaded model the draft model of the option draft=. A model works without one, so whatever
// is wrong with it is logged and kept in `loaded.draft`. Only kCancelled is an error. Called before
// the engine's first request.
Result<void> open_draft(LoadedModel& loaded, const DraftRoom& room, Follower follower);

// Returns true if the model is a boot module. Those are rearranged where the loader put them, so
// they cannot be loaded a second time.
bool is_boot_module(const ModelFile& file);

// Facts about a model, and what loading it would take.
struct ModelFacts {
  ai::ModelSummary model;
  u64 needed_bytes = 0;   // beside what it uses already; 0 if it is loaded
  bool in_place = false;  // a boot module, whose bytes are in memory anyway
};
Result<ModelFacts> inspect_model(const ModelFile& file);
// Hears of the tensors of a file, in the order of their names.
class TensorSink {
 public:
  virtual Result<void> on_tensor(const ai::GgufTensor& tensor) = 0;  // its data are not there

 protected:
  ~TensorSink() = default;
};
// Reads the beginnings of a model's files. A llama2.c checkpoint has no list of tensors.
Result<void> list_tensors(const ModelFile& file, TensorSink& sink);
// Returns the same for a loaded model whose file can no longer be read.
Result<ModelFacts> facts_of(const ai::Engine& engine);

// Writes part `index` of a loaded model's file as it was before loading rearranged it.
Result<void> write_original(const LoadedModel& model, u32 index, ai::ByteSink& out);
// Returns a checksum over all bytes of a loaded model in memory, computed on all workers. It
// changes with every flipped bit. Returns 0 if no bytes are in memory.
u64 weights_checksum(const LoadedModel& model);
// Flips one bit of a weight, or flips it back. For tests of those checks.
Result<void> flip_weight_bit(LoadedModel& model);

}  // namespace service
