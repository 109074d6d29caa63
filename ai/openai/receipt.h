// SPDX-License-Identifier: GPL-2.0-or-later
// A receipt: everything an answer was made from, the answer's tokens, and a chain of hashes over
// the logits they were picked from, signed. wiki/Receipts.md has the format and what it proves.
//
// Nothing here computes with a model or waits. For threads of CPU 0.
#pragma once

#include "ai/engine/engine.h"
#include "ai/engine/numerics.h"
#include "kernel/base/json.h"
#include "kernel/crypto/ed25519.h"
#include "kernel/crypto/sha256.h"

namespace ai::openai {

constexpr u32 kReceiptVersion = 2;

// The grammar that an answer had to follow, as it was given.
struct GrammarSource {
  enum class Kind : u8 {
    kNone,
    kGbnf,
    kSchema,
    kLooseSchema,  // any JSON where the schema cannot be enforced
  } kind = Kind::kNone;
  String text;  // GBNF, or the schema as JSON
};

struct Receipt {
  // ---- what the answer was made from
  String model;                         // the name it had; it proves nothing
  crypto::Sha256Digest model_sha256{};  // of all bytes of its file, or of its parts in order
  u64 fingerprint = 0;                  // ModelInfo::fingerprint
  KvType cache = KvType::kF16;
  bool has_template = false;
  crypto::Sha256Digest template_sha256{};
  u32 context = 0;  // of the engine, in tokens
  Vector<TokenId> prompt;
  SamplerParams sampling;
  Vector<String> dry_breakers;  // none = the engine's own
  Vector<LogitBias> bias;
  u32 max_tokens = 0;  // 0 = until the context is full
  bool ignore_end = false;
  Vector<String> stop;
  GrammarSource grammar;
  // ---- the answer
  Vector<TokenId> answer;  // with the end-of-generation token, if one ended it
  FinishReason finish = FinishReason::kStop;
  crypto::Sha256Digest text_sha256{};
  crypto::Sha256Digest chain{};  // StepChain::value() after the last token
  Vector<u32> marks;             // StepChain::mark() after each token
  // ---- who vouches for it
  crypto::Ed25519PublicKey key{};
  crypto::Ed25519Signature signature{};

  Receipt() = default;
  Receipt(Receipt&&) noexcept = default;
  Receipt& operator=(Receipt&&) noexcept = default;
  ~Receipt();  // wipes the tokens
};

enum class ReceiptPart : u8 {
  kHead,    // what the answer was made from; the chain begins with its hash
  kSigned,  // all but the signature
  kWhole,
};
void write_receipt(const Receipt& receipt, ReceiptPart part, json::Writer& w);
// Writes the bytes that the signature is over.
Result<void> write_signed_text(const Receipt& receipt, String& out);
// Returns kCorrupt if the signature is not one of the receipt by its key.
Result<void> check_signature(const Receipt& receipt);

// Reads a receipt. It must have exactly the fields of the format. kInvalidArgument: `why` gets a
// sentence that names the field. kUnsupported: it has another version.
Result<Receipt> read_receipt(json::Value value, base::Writer& why);

// Returns the receipt in a body or file that is one, or that has one in its member "receipt".
inline json::Value find_receipt(json::Value root) {
  json::Value inner = root.find("receipt");
  return inner.is_object() ? inner : root;
}

// A hash over the head of a receipt and then, step by step, each token and the logits it was picked
// from. Whoever has the same values after a step has had the same ones before it.
class StepChain {
 public:
  // The receipt's head must be complete.
  static Result<StepChain> create(const Receipt& receipt);
  void add(const Pick& pick);
  const crypto::Sha256Digest& value() const { return value_; }
  // Returns the first four bytes of the value, which tell steps apart.
  u32 mark() const;

 private:
  crypto::Sha256Digest value_{};
};

// Writes the receipt of an answer while it is generated.
class ReceiptMaker {
 public:
  // The receipt's head must be complete.
  static Result<base::Owner<ReceiptMaker>> create(Receipt receipt);
  ReceiptMaker(Receipt receipt, const StepChain& chain)
      : receipt_(std::move(receipt)), chain_(chain) {}
  Result<void> picked(const Pick& pick);
  void said(std::string_view text);
  // Completes the receipt but for its signature. Called once, after the last token.
  Receipt& finish(FinishReason reason, const crypto::Ed25519PublicKey& key);

 private:
  Receipt receipt_;
  StepChain chain_;
  crypto::Sha256 text_;
};

}  // namespace ai::openai
