// SPDX-License-Identifier: GPL-2.0-or-later
// A model file, its pages and one sequence: what tests and tools need to run a model by hand.
#pragma once

#include <vector>

#include "ai/models/expert_store.h"
#include "ai/models/model.h"
#include "tests/hosted/test_platform.h"

struct RunnerOptions {
  ai::KvType kv_type = ai::KvType::kF16;
  const char* kernels = "reference";  // or "auto", or a table's name
  u32 context = 1024;
  u32 rows = 256;  // of a step at most
  u32 sequences = 1;
  // Set if the experts stay in the file, of which this many are in memory at once.
  ai::FileReader* reader = nullptr;
  u32 expert_slots = 1;
};

class ModelRunner {
 public:
  // GGUF, or a llama2.c checkpoint with its tokenizer.bin behind it (copied).
  static Result<std::unique_ptr<ModelRunner>> load(std::span<const Byte> file,
                                                   TestPlatform& platform,
                                                   const RunnerOptions& options);
  ~ModelRunner();

  ai::Model& model() { return *model_; }
  const ai::GgufFile& file() const { return *file_; }
  std::span<const Byte> bytes() const { return bytes_; }
  u32 length() const { return length_; }
  const ai::ExpertFigures& experts() const { return *experts_; }  // of a model that has a reader
  void cut(u32 length) { length_ = length; }

  // Runs the tokens behind what is there, `chunk` rows a step (0: as many as fit); the logits of
  // every token when `all`, else of the last.
  Result<std::vector<float>> run(std::span<const u32> tokens, bool all, u32 chunk = 0);
  // Runs all tokens in one step and returns the output of the final norm.
  Result<std::vector<float>> hidden(std::span<const u32> tokens);
  // Logits of all `tokens` of a fresh sequence 0, run a token a step while sequence 1 gets
  // `company` three tokens at a time in the same steps.
  Result<std::vector<float>> run_beside(std::span<const u32> company, std::span<const u32> tokens);
  // The token with the highest logit, ties to the lowest id, and its lead over the second.
  static u32 best(std::span<const float> logits, float* lead = nullptr);
  Result<std::vector<u32>> greedy(std::span<const u32> prompt, u32 count);

 private:
  ai::KvView view(u32 sequence);
  Result<void> load_streamed(const RunnerOptions& options, const ai::ModelOptions& model,
                             TestPlatform& platform);
  std::vector<Byte> bytes_, pages_, window_pages_, state_;
  std::vector<std::vector<u32>> page_lists_;  // of each sequence
  ai::KernelTable kernels_{};
  base::Owner<ai::GgufFile> file_;
  const ai::ExpertFigures* experts_ = nullptr;
  base::Owner<ai::Model> model_;
  base::Owner<ai::Workspace> workspace_;
  u32 length_ = 0, rows_ = 0;
};
