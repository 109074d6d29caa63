// SPDX-License-Identifier: GPL-2.0-or-later
// A loaded model: hyperparameters, weights in groups of 16 rows, and one step over a batch.
//
// Immutable after load and shared by all requests; all that changes is in the KV pages, the
// recurrent states and the Workspace, which the caller owns.
#pragma once

#include <span>

#include "ai/attention/kv_type.h"
#include "ai/gguf/reader.h"
#include "ai/kernels/table.h"
#include "ai/models/hyperparameters.h"
#include "ai/tokenizer/tokenizer.h"

namespace ai {

// One token of one step. Rows of several sequences may be mixed; those of one sequence come in
// ascending positions without gaps, so a prompt chunk is a run of rows.
struct BatchRow {
  TokenId token;
  u32 position;
  u32 sequence;  // index into the `sequences` of forward()
  bool wants_logits;
};

// Where the keys and values of one sequence lie.
struct KvView {
  Byte* pool = nullptr;        // page p begins at pool + p * kv_page_bytes()
  std::span<const u32> pages;  // pages[i] holds positions [i, i + 1) * kv_page_positions()
  // state_bytes() of a recurrent family, empty otherwise. Position 0 begins with zeros whatever
  // lies there; every row moves it on, so it cannot be shared or cut back like pages.
  std::span<Byte> state;
};

// The most a step will ever hold; sizes the workspace.
struct StepLimits {
  u32 rows = 1;
  u32 logit_rows = 1;
};

struct ModelOptions {
  const KernelTable* kernels = nullptr;  // outlives the model
  KvType kv_type = KvType::kF16;
  u32 context = 0;  // positions a sequence may have; 0 = as trained
};

// Buffers of a step. One step at a time may use it.
class Workspace {
 public:
  virtual ~Workspace() = default;
  // Set from inside Platform::breathe(): nobody wants the step any more. It ends with kCancelled
  // behind the layer at work.
  bool abandoned = false;
};

class Model {
 public:
  // `parts` are the bytes `file` was parsed from (one span unless it was split); matrices are
  // rewritten there in place, in parallel, unless the file is packed already. A file that is
  // refused is left as it was. Bytes and platform outlive the model, `file` need not.
  static Result<base::Owner<Model>> load(const GgufFile& file,
                                         std::span<const std::span<Byte>> parts,
                                         const ModelOptions& options, Platform& platform);
  virtual ~Model() = default;

  virtual const Hyperparameters& params() const = 0;
  virtual u32 kv_page_positions() const = 0;
  virtual usize kv_page_bytes() const = 0;  // all layers and heads, keys and values
  virtual usize state_bytes() const = 0;    // of one sequence; 0 unless the family is recurrent
  virtual usize workspace_bytes(const StepLimits& limits) const = 0;
  virtual Result<base::Owner<Workspace>> create_workspace(const StepLimits& limits) const = 0;

  // Runs all rows through all layers: writes their keys and values to the pages, and the logits
  // of the rows that want them to `logits`, params().vocabulary each, in row order. Allocates
  // nothing. kCorrupt when a logit is not finite (the layer is logged). The same bits however the
  // rows are cut into steps and whatever else is in the step.
  virtual Result<void> forward(std::span<const BatchRow> rows, std::span<const KvView> sequences,
                               Workspace& workspace, std::span<float> logits) = 0;
  // The same, but instead of logits what the final norm makes of those rows: params().width each.
  virtual Result<void> forward_hidden(std::span<const BatchRow> rows,
                                      std::span<const KvView> sequences, Workspace& workspace,
                                      std::span<float> hidden) = 0;
};

// The byte plan before loading (engine: `model info`), without touching a weight.
usize kv_page_bytes(const Hyperparameters& params, KvType type);
u32 kv_page_positions();
usize state_bytes(const Hyperparameters& params);
usize workspace_bytes(const Hyperparameters& params, const StepLimits& limits, u32 context,
                      u32 workers);

}  // namespace ai
