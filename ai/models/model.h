// SPDX-License-Identifier: GPL-2.0-or-later
// A loaded model: hyperparameters, weights in groups of 16 rows, and the computation of one step
// over a batch.
//
// It is immutable after load() and shared by all requests. What changes is in the KV pages, the
// recurrent states and the Workspace, which the caller owns. forward() runs on the engine's thread,
// uses all workers, and breathes.
#pragma once

#include <span>

#include "ai/attention/kv_cache.h"
#include "ai/attention/kv_type.h"
#include "ai/gguf/reader.h"
#include "ai/kernels/table.h"
#include "ai/models/hyperparameters.h"
#include "ai/tokenizer/tokenizer.h"

namespace ai {

class StreamedWeights;  // ai/models/expert_store.h

// One token of one step. Rows of several sequences may be mixed. The rows of one sequence have
// ascending positions without gaps, so a chunk of a prompt is a run of rows.
struct BatchRow {
  TokenId token;
  u32 position;
  u32 sequence;  // index into the `sequences` of forward()
  bool wants_logits;
  u8 segment = 0;  // for encoders: 1 in the second of two texts
};

// The location of one sequence's keys and values: pages of the layers that see the whole text, and
// pages of the layers that see a window of it. pages[i] holds positions [i, i + 1) *
// kv_page_positions(). In layers with a window, a row at position p needs no page before the one of
// position p + 1 - params().window.
struct KvView {
  KvPages whole, window;
  // The state of a recurrent family, state_bytes() long; otherwise empty. At position 0 the model
  // starts from zeros, whatever the bytes are. Every row changes the state, so it cannot be shared
  // or cut back as pages can.
  std::span<Byte> state;
};

// The bytes of a page: keys and values of all heads, in all layers of its kind. 0: no such layers.
struct KvPageBytes {
  usize whole = 0;   // layers that see the whole text
  usize window = 0;  // layers that see the last params().window positions
};

// The most rows that a step will have. It sizes the workspace.
struct StepLimits {
  u32 rows = 1;
  u32 logit_rows = 1;
};

struct ModelOptions {
  const KernelTable* kernels = nullptr;  // must outlive the model
  KvType kv_type = KvType::kF16;
  u32 context = 0;  // positions that a sequence may have; 0 = as trained
};

// The buffers of a step. Only one step at a time may use them.
class Workspace {
 public:
  virtual ~Workspace() = default;
  // Set from inside Platform::breathe() when nobody wants the step any more. forward() then returns
  // kCancelled after the layer it is computing.
  bool abandoned = false;
};

class Model {
 public:
  // `parts` are the bytes that `file` was parsed from, one span unless the file was split. Matrices
  // are rewritten there in place, on all workers, unless the file is packed already. A file that is
  // refused is left unchanged. The bytes and the platform must outlive the model; `file` need not.
  static Result<base::Owner<Model>> load(const GgufFile& file,
                                         std::span<const std::span<Byte>> parts,
                                         const ModelOptions& options, Platform& platform);
  // Loads a model whose experts stay in its file (expert_store.h). At most `slots` of them are in
  // memory at once. `file` must describe where the weights are.
  static Result<base::Owner<Model>> load_streamed(const GgufFile& file,
                                                  base::Owner<StreamedWeights> weights, u32 slots,
                                                  const ModelOptions& options, Platform& platform);
  virtual ~Model() = default;

  virtual const Hyperparameters& params() const = 0;
  virtual u32 kv_page_positions() const = 0;
  virtual KvPageBytes kv_page_bytes() const = 0;
  virtual usize state_bytes() const = 0;  // per sequence; 0 unless the family is recurrent
  virtual usize workspace_bytes(const StepLimits& limits) const = 0;
  virtual Result<base::Owner<Workspace>> create_workspace(const StepLimits& limits) const = 0;

  // Runs all rows through all layers. Writes their keys and values to the pages, and the logits of
  // the rows that want them to `logits`: params().vocabulary floats each, in the order of the rows.
  // Allocates nothing. Returns kCorrupt if a logit is not finite, and logs the layer. The bits do
  // not depend on how a text is cut into steps or on what else is in the step. An encoder needs a
  // whole text in one step.
  virtual Result<void> forward(std::span<const BatchRow> rows, std::span<const KvView> sequences,
                               Workspace& workspace, std::span<float> logits) = 0;
  // Does the same, but writes the output of the final norm instead of logits: params().width floats
  // per row.
  virtual Result<void> forward_hidden(std::span<const BatchRow> rows,
                                      std::span<const KvView> sequences, Workspace& workspace,
                                      std::span<float> hidden) = 0;
  // Returns the score of a reranker for the hidden state of a text's first token. kUnsupported if
  // the file has no head for it.
  virtual Result<float> score(std::span<const float> hidden) const = 0;
};

// Sizes for the memory plan before loading (`model info`). They touch no weight.
KvPageBytes kv_page_bytes(const Hyperparameters& params, KvType type);
u32 kv_page_positions();
usize state_bytes(const Hyperparameters& params);
usize workspace_bytes(const Hyperparameters& params, const StepLimits& limits, u32 context,
                      u32 workers);

}  // namespace ai
