// SPDX-License-Identifier: GPL-2.0-or-later
// Writes receipts, and makes their chains.
#include "ai/openai/receipt.h"

#include "ai/openai/receipt_fields.h"
#include "ai/text/candidates.h"
#include "kernel/base/bytes.h"
#include "kernel/base/hex.h"
#include "kernel/base/wipe.h"

namespace ai::openai {
namespace {

// The key signs nothing else, so this only keeps the versions apart.
constexpr std::string_view kSignedPrefix = "marrow-receipt-v2\n";

void hex_field(std::string_view name, std::span<const Byte> bytes, json::Writer& w) {
  char text[2 * crypto::kEd25519SignatureBytes];
  base::BufferWriter out(text);
  base::write_hex(bytes, out);
  w.field(name, out.view());
}

void write_ids(std::string_view name, std::span<const TokenId> ids, json::Writer& w) {
  w.key(name).begin_array();
  for (TokenId id : ids) w.value(id);
  w.end_array();
}

void write_texts(std::string_view name, std::span<const String> texts, json::Writer& w) {
  w.key(name).begin_array();
  for (const String& text : texts) w.value(text);
  w.end_array();
}

void write_parameters(const Receipt& r, json::Writer& w) {
  char digits[24];
  w.key("parameters").begin_object();
  // a number of 64 bits does not survive JavaScript
  w.field("seed", base::format_into(digits, "{}", r.sampling.seed));
  for (const MilliField& row : kMilliFields) w.field(row.name, r.sampling.*row.member);
  for (const CountField& row : kCountFields) w.field(row.name, r.sampling.*row.member);
  // none = all of them, in the usual order
  w.key("samplers").begin_array();
  const SamplerOrder& order = r.sampling.order;
  if (order.chosen)
    for (SamplerStep step : std::span(order.steps).first(order.count))
      w.value(kStepWords[static_cast<usize>(step)]);
  w.end_array();
  write_texts("dry_breakers", r.dry_breakers.view(), w);
  w.key("logit_bias").begin_array();
  for (const LogitBias& b : r.bias) {
    w.begin_array().value(b.token);
    if (b.bias_milli == LogitBias::kNever)
      w.null();
    else
      w.value(b.bias_milli);
    w.end_array();
  }
  w.end_array().field("max_tokens", r.max_tokens).field("ignore_eos", r.ignore_end);
  write_texts("stop", r.stop.view(), w);
  w.end_object();
}

void write_head(const Receipt& r, json::Writer& w) {
  char digits[20];
  w.field("receipt_version", kReceiptVersion).field("numerics_version", kNumericsVersion);
  w.key("model").begin_object().field("name", r.model);
  hex_field("sha256", r.model_sha256, w);
  w.field("fingerprint", base::format_into(digits, "{:016x}", r.fingerprint)).end_object();
  w.field("cache", kv_type_info(r.cache).name).field("context", r.context);
  if (r.has_template)
    hex_field("template_sha256", r.template_sha256, w);
  else
    w.field_null("template_sha256");
  write_ids("prompt", r.prompt.view(), w);
  write_parameters(r, w);
  w.key("grammar").begin_object();
  w.field("kind", kGrammarWords[static_cast<usize>(r.grammar.kind)]);
  w.field("text", r.grammar.text).end_object();
}

std::string_view finish_word(FinishReason reason) {
  return kFinishWords[std::min(static_cast<usize>(reason), std::size(kFinishWords) - 1)];
}

void write_answer(const Receipt& r, json::Writer& w) {
  write_ids("answer", r.answer.view(), w);
  w.field("finish_reason", finish_word(r.finish));
  hex_field("text_sha256", r.text_sha256, w);
  hex_field("chain", r.chain, w);
  w.key("marks").begin_array();
  char digits[12];
  for (u32 mark : r.marks) w.value(base::format_into(digits, "{:08x}", mark));
  w.end_array();
  hex_field("key", r.key, w);
}

}  // namespace

Receipt::~Receipt() {
  base::wipe(prompt);
  base::wipe(answer);
  base::wipe(grammar.text);
}

void write_receipt(const Receipt& receipt, ReceiptPart part, json::Writer& w) {
  w.begin_object();
  write_head(receipt, w);
  if (part != ReceiptPart::kHead) write_answer(receipt, w);
  if (part == ReceiptPart::kWhole) hex_field("signature", receipt.signature, w);
  w.end_object();
}

Result<void> write_signed_text(const Receipt& receipt, String& out) {
  base::StringWriter sink(out);
  sink.write(kSignedPrefix);
  json::Writer w(sink);
  write_receipt(receipt, ReceiptPart::kSigned, w);
  return sink.status();
}

Result<void> check_signature(const Receipt& receipt) {
  base::Wiped<String> text;
  TRY(write_signed_text(receipt, text));
  std::string_view view = text.view();
  return crypto::ed25519_verify(
      receipt.key, {reinterpret_cast<const Byte*>(view.data()), view.size()}, receipt.signature);
}

// ---- the chain ------------------------------------------------------------------------------

Result<StepChain> StepChain::create(const Receipt& receipt) {
  base::Wiped<String> text;
  base::StringWriter sink(text);
  json::Writer w(sink);
  write_receipt(receipt, ReceiptPart::kHead, w);
  TRY(sink.status());
  StepChain chain;
  chain.value_ = crypto::sha256(text.view());
  return chain;
}

// Hashes the value so far, the token, and each of the logits with its token, all as little-endian
// words.
void StepChain::add(const Pick& pick) {
  Byte bytes[sizeof value_ + 4 + 8 * kMostPickLogits];
  usize size = sizeof value_;
  std::copy(value_.begin(), value_.end(), bytes);
  auto put = [&](u32 word) {
    base::store(bytes + size, word);
    size += sizeof word;
  };
  put(pick.id);
  for (u64 key : pick.best.first(std::min<usize>(pick.best.size(), kMostPickLogits))) {
    put(CandidateKey::id(key));
    put(std::bit_cast<u32>(CandidateKey::logit(key)));
  }
  crypto::Sha256 hash;
  hash.update({bytes, size});
  value_ = hash.finish();
}

u32 StepChain::mark() const {
  return u32{value_[0]} << 24 | u32{value_[1]} << 16 | u32{value_[2]} << 8 | u32{value_[3]};
}

// ---- making one -----------------------------------------------------------------------------

Result<base::Owner<ReceiptMaker>> ReceiptMaker::create(Receipt receipt) {
  StepChain chain = TRY(StepChain::create(receipt));
  return base::make<ReceiptMaker>(std::move(receipt), chain);
}

Result<void> ReceiptMaker::picked(const Pick& pick) {
  chain_.add(pick);
  TRY(receipt_.answer.push_back(pick.id));
  return receipt_.marks.push_back(chain_.mark());
}

void ReceiptMaker::said(std::string_view text) {
  text_.update({reinterpret_cast<const Byte*>(text.data()), text.size()});
}

Receipt& ReceiptMaker::finish(FinishReason reason, const crypto::Ed25519PublicKey& key) {
  receipt_.finish = reason;
  receipt_.chain = chain_.value();
  receipt_.text_sha256 = text_.finish();
  receipt_.key = key;
  return receipt_;
}

}  // namespace ai::openai
