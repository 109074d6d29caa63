// SPDX-License-Identifier: GPL-2.0-or-later
// The engine of the machine: one model serves, whoever asks. Console and server share it.
//
// Whoever waits for an answer calls step() until it has it; steps serve everybody's requests.
// Thread context. step() gives way to other threads through Platform::breathe.
#pragma once

#include "ai/engine/engine.h"
#include "ai/gguf/pack.h"
#include "console/model_image.h"
#include "console/model_store.h"

namespace console {

class EngineService {
 public:
  // Loads and then replaces: the old model serves until the new one works, and stays when it does
  // not. Running requests are served to their end first. `io` shows how far reading is, and Ctrl-C
  // there stops it (kCancelled); null: nobody watches.
  Result<void> load(const ModelFile& file, Io* io = nullptr);
  Result<void> unload();
  // The model of the option model=, or the first one found; nothing when one is loaded.
  Result<void> load_default();

  // How far the loading under way is, for those who did not ask for it. `stage` is null when there
  // is none.
  struct Loading {
    const char* stage = nullptr;  // "reading", "checking", "preparing"
    u64 bytes_done = 0, bytes_total = 0, start_ns = 0;
  };
  const Loading& loading() const { return loading_; }
  // The loaded model only answers what has been submitted: another takes its place.
  bool replacing() const { return replacing_; }

  bool loaded() const { return active_ != nullptr; }
  ai::Engine& engine();                                                // of the loaded model
  const ModelFile& file() const;                                       // the same
  u64 load_ns() const;                                                 // what loading it took
  u64 load_number() const { return active_ == nullptr ? 0 : loads_; }  // tells one from another
  // Until as many ends, no other model takes this one's place.
  void hold() { holders_++; }
  void let_go() { holders_--; }
  const char* kernels() const { return kernels_; }

  // One step for all requests. False: there was nothing to do here.
  bool step();

  // Between these two no step is made and no model changed: for what must not run inside a step.
  // False: there is no model, or a step is being made.
  bool claim();
  void release() { stepping_ = false; }

  // What a model is and what loading it would take, without loading.
  struct Summary {
    ai::ModelSummary model;
    u64 needed_bytes = 0;   // beside what it has already; 0 when it is loaded
    bool in_place = false;  // a boot module: its bytes are in memory
  };
  Result<Summary> inspect(const ModelFile& file);
  // Part `index` of a loaded model's file as it was before loading rearranged it. kNotFound: it is
  // not loaded.
  Result<void> write_original(const ModelFile& file, u32 index, ai::ByteSink& out);
  // Over all bytes of the loaded model as they lie in memory, on all workers; the same until a bit
  // changes. 0 when there are none.
  u64 weights_checksum();
  // For tests of those checks: turns one bit of a weight, or back.
  Result<void> flip_weight_bit();

  // Puts an engine in that something else made: tests.
  void adopt(ModelFile file, base::Owner<ai::Engine> engine);

 private:
  struct Loaded {
    ModelFile file;
    Vector<ModelImage> images;  // outlive the engine: declared before it
    base::Owner<ai::Engine> engine;
    u64 load_ns = 0;
  };
  Result<base::Owner<Loaded>> open(const ModelFile& file, Io* io);
  Loaded* find_loaded(const ModelFile& file);
  void activate(base::Owner<Loaded> loaded);
  void retire();
  void drain();

  base::Owner<Loaded> active_;
  // Boot modules are rearranged where the loader put them, so a second load would read nonsense:
  // such a model is kept when another takes its place, and is back at once when it is wanted.
  Vector<base::Owner<Loaded>> kept_;
  const char* kernels_ = "auto";
  bool stepping_ = false;
  bool changing_ = false;
  bool replacing_ = false;
  u64 loads_ = 0;
  u32 holders_ = 0;
  Loading loading_;
};

EngineService& engine_service();

}  // namespace console
