// SPDX-License-Identifier: GPL-2.0-or-later
// A model file that was opened, before a weight is touched: the steps that loading from memory
// (load.cpp) and loading with experts that stay in the file (streamed.cpp) share. For the thread
// that loads.
#pragma once

#include "ai/engine/engine_impl.h"
#include "ai/models/expert_file.h"

namespace ai {

// Everything that is known before a weight is touched.
struct Opened {
  base::Owner<GgufFile> file;
  std::span<const std::span<Byte>> weights;  // the memory that holds the file's tensors
  base::Owner<Tokenizer> tokenizer;
  Hyperparameters params;
  KvType kv_type = KvType::kF16;
  u32 workers = 1;
};

// Reads and checks the hyperparameters and the tokenizer.
Result<void> read_metadata(Opened& opened, Platform& platform, const EngineOptions& options);
// Returns the sizes of a model whose weights take this many bytes.
ModelSizes sizes_of(const Opened& opened, u64 weights_bytes);

// The bytes of a tensor that the fingerprint is taken from. Of rows that are interleaved, whole
// groups are read for them.
struct SampleShape {
  SampleShape(const GgufTensor& tensor, bool grouped);
  u32 rows = 0;  // of the first of its matrices
  usize bytes = 0, source_bytes = 0;
};
// Hashes the names, types and shapes of all tensors, the first bytes of each, and the metadata keys
// of the model's architecture. `samples` reads the bytes of tensors that stay in the file; it may
// be null if there are none.
Result<u64> fingerprint_of(const Opened& opened, u32 context, TensorSamples* samples);

// Fills everything but the fingerprint and what depends on where the weights are. Takes the
// tokenizer.
Result<void> fill_parts(EngineParts& parts, Opened& opened, const EngineSizes& sizes,
                        u64 file_bytes);

}  // namespace ai
