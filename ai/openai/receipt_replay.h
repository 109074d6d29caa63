// SPDX-License-Identifier: GPL-2.0-or-later
// Judges a receipt: whether it can be judged here, and whether its answer comes out again.
#pragma once

#include "ai/engine/lease.h"
#include "ai/openai/receipt.h"
#include "ai/text/grammar.h"

namespace ai::openai {

// A receipt's first fault.
struct ReceiptFault {
  enum class Stage : u8 {
    kNone,       // nothing: it is valid
    kSignature,  // it is not what its key has signed
    kStep,       // another token comes out there, or none
    kLogits,     // the token comes out, from other logits
    kEnd,        // the answer ends earlier or later, or for another reason
    kText,       // the tokens are right, the hash of their text is not
  } stage = Stage::kNone;
  u32 step = 0;  // index in the answer, for kStep, kLogits and kEnd
  TokenId recorded = Tokenizer::kNoToken, replayed = Tokenizer::kNoToken;  // for kStep
  const char* what = "";                                                   // a sentence
};

// Returns kUnsupported if the receipt is of another model, cache type or context; `why` then says
// which, with both values.
Result<void> check_place(const Receipt& receipt, const Lease& lease,
                         const crypto::Sha256Digest& model_sha256, base::Writer& why);

// Compiles a schema. With `loose`, one that cannot be enforced means any JSON.
Result<base::Owner<Grammar>> compile_schema(json::Value schema, bool loose, const TokenTrie& tokens,
                                            base::Writer& why);
// Compiles the receipt's grammar; null if it has none.
Result<base::Owner<Grammar>> compile_grammar(const GrammarSource& source, const TokenTrie& tokens,
                                             base::Writer& why);

// The sink of Engine::replay() for a receipt, which must outlive it. On the engine's thread.
class ReceiptReplay : public ReplaySink {
 public:
  ReceiptReplay(const Receipt& receipt, const StepChain& chain)
      : receipt_(receipt), chain_(chain) {}
  ReceiptReplay(const ReceiptReplay&) = delete;
  ReceiptReplay& operator=(const ReceiptReplay&) = delete;
  ~ReceiptReplay();

  // Lets `engine` make the answer again. Returns an error if that was not possible for a reason
  // that is not the receipt's; otherwise fault() says what came out. `grammar` may be null.
  Result<void> run(Engine& engine, const Grammar* grammar);
  const ReceiptFault& fault() const { return fault_; }
  u32 steps() const { return steps_; }                    // that came out as recorded
  std::string_view text() const { return text_.view(); }  // of those steps

  void on_prefill(u32, u32) override {}
  void on_pick(const Pick& pick) override;
  void on_token(const TokenEvent& event) override;
  void on_end(FinishReason reason, const Timings& timings, const Error* error) override;
  bool on_chunk(u32 done, u32 total) override;

 protected:
  // Called between two chunks; false ends the work.
  virtual bool go_on(u32 /*done*/, u32 /*total*/) { return true; }

 private:
  bool found() const { return fault_.stage != ReceiptFault::Stage::kNone; }
  void find(ReceiptFault::Stage stage, u32 step, const char* what);
  void judge_end();

  const Receipt& receipt_;
  StepChain chain_;
  ReceiptFault fault_;
  String text_;
  crypto::Sha256 hash_;
  Result<void> kept_;
  u32 steps_ = 0;
  bool ended_ = false;
  FinishReason reason_ = FinishReason::kStop;
};

// Writes what verifying found as JSON. `text` is the answer's as far as it came out.
void write_verification(const Receipt& receipt, const ReceiptFault& fault, u32 steps,
                        std::string_view text, json::Writer& w);

}  // namespace ai::openai
