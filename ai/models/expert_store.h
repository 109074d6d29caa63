// SPDX-License-Identifier: GPL-2.0-or-later
// The experts of a model that is larger than memory: slots in one arena, and a table that says
// which expert lies in which slot. A missing expert is read from the file into the slot of the one
// that was used least, and its rows are interleaved there.
//
// Everything belongs to the thread "engine". It sleeps in next() while a disk reads; other threads
// of CPU 0 run meanwhile, and may abandon the step. Reads are under way only between begin() and
// the end of the turn. Nothing is allocated after create().
#pragma once

#include "ai/models/expert_figures.h"
#include "ai/models/expert_file.h"

namespace ai {

class ExpertStore {
 public:
  enum class Matrix : u8 { kGate, kUp, kDown, kCount };

  // The arena gets `slots` slots, at least one. `file` describes the tensors that stay in it. The
  // reader must outlive the store.
  static Result<base::Owner<ExpertStore>> create(const GgufFile& file, const ExpertSizes& sizes,
                                                 u32 slots, FileReader& reader);
  ExpertStore(const ExpertSizes& sizes, FileReader& reader, Platform& platform)
      : sizes_(sizes), reader_(reader), platform_(platform) {}

  // A step with so many rows begins. Old uses of experts count less and less.
  void begin_step(u32 rows);

  // A layer's turn: begin() demands the experts that have rows, next() returns those that are
  // ready, in any order, each once, and nothing at the end. Expert e has the rows [runs[e], runs[e
  // + 1]). The matrices of what next() returned stay in place until it is called again. After an
  // error the turn is over. `abandoned` ends it with kCancelled.
  void begin(u32 layer, std::span<const u32> runs);
  Result<std::span<const u32>> next(const bool& abandoned);
  TensorView view(Matrix matrix, u32 expert) const;

  const ExpertFigures& figures() const { return figures_; }
  bool at_rest() const { return reading_.empty() && ready_.empty(); }  // for tests

 private:
  static constexpr u32 kNone = ~u32{0};
  static constexpr usize kMatrices = static_cast<usize>(Matrix::kCount);
  // Uses count half after so many rows.
  static constexpr u32 kRowsPerDecay = 64;

  // A layer's stack of matrices of one kind, in the file.
  struct Stack {
    TensorView one;  // of one expert, without its data
    u32 part = 0;
    u64 offset = 0;  // of expert 0
    u64 at = 0;      // where its room begins in a slot
    u64 bytes() const { return u64{one.rows} * one.row_bytes; }
    u64 offset_of(u32 expert) const { return offset + expert * bytes(); }
  };
  struct Layer {
    Stack stacks[kMatrices];
  };
  struct Slot {
    u32 key = kNone;      // layer * experts + expert
    bool pinned = false;  // demanded by the layer that is computed
    FileRead reads[kMatrices];
    bool arrived() const {
      for (const FileRead& read : reads)
        if (!read.ended) return false;
      return true;
    }
  };

  Result<void> take_layers(const GgufFile& file);
  Result<void> create_arena(u32 slots);
  Result<void> create_tables();
  u32 key_of(u32 expert) const { return layer_ * sizes_.experts + expert; }
  Byte* memory_of(u32 slot) const {
    return pieces_[slot / piece_slots_].view().data() + slot % piece_slots_ * sizes_.slot_bytes;
  }
  Byte* data_of(u32 slot, usize matrix) const;
  u32 take_slot();
  void free_slot(u32 slot);
  bool is_used_less(u32 key, u32 than) const;
  void begin_reads();
  void begin_read(u32 expert, u32 slot);
  Result<void> collect();
  void interleave(u32 slot);
  void release_ready();
  void end_turn();
  std::unexpected<Error> refuse(u32 slot, const Error& error);

  ExpertSizes sizes_;
  FileReader& reader_;
  Platform& platform_;
  bool packed_ = false;  // the file's rows are interleaved already
  Vector<Layer> layers_;
  Vector<PlatformPages> pieces_;  // of the arena
  u32 piece_slots_ = 1;
  Vector<Slot> slots_;
  Vector<u32> table_;       // slot of each key, or kNone
  Vector<u32> uses_;        // of each key: rows, fading
  u32 rows_ = 0;            // since the last decay
  Vector<Byte> temporary_;  // room for one group per worker
  usize largest_group_ = 0;
  // The turn of a layer.
  u32 layer_ = 0;
  Vector<u32> missing_;  // experts that are in no slot
  usize next_missing_ = 0;
  Vector<u32> reading_;    // slots
  Vector<u32> ready_;      // experts that are in their slots
  bool returned_ = false;  // by next()
  u64 reading_since_ns_ = 0;
  ExpertFigures figures_;
};

// All weights of a model whose experts stay in its file: the file, the resident tensors, and the
// experts that are in memory. The model owns it.
class StreamedWeights {
 public:
  // Reads the resident tensors. `file`, which was parsed from the heads of `source`, describes
  // afterwards where all tensors are. `watcher` may be null.
  static Result<base::Owner<StreamedWeights>> read(StreamedFile source, GgufFile& file,
                                                   ReadWatcher* watcher);
  StreamedWeights(StreamedFile source, PlatformPages resident)
      : source_(std::move(source)), resident_(std::move(resident)) {}
  // Makes the arena. Called once, before the first step.
  Result<void> create_store(const GgufFile& file, const Hyperparameters& params, u32 slots);

  std::span<Byte> resident() const { return resident_.view(); }
  FileReader& reader() const { return *source_.reader; }
  ExpertStore& store() const { return *store_; }

 private:
  StreamedFile source_;
  PlatformPages resident_;
  base::Owner<ExpertStore> store_;
};

}  // namespace ai
