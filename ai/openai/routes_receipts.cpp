// SPDX-License-Identifier: GPL-2.0-or-later
// Receipts: what a request must be to get one, the key that signs them, and /v1/receipts/verify,
// which lets the model make a receipt's answer again (wiki/Receipts).
#include "ai/openai/receipt_replay.h"
#include "ai/openai/service.h"
#include "kernel/base/hex.h"

namespace ai::openai {
namespace {

constexpr usize kWhyBytes = 320;  // as ApiError's sentences

// Goes on while the client is connected, and lets other requests make steps.
class Watched final : public ReceiptReplay {
 public:
  Watched(const Receipt& receipt, const StepChain& chain, Exchange& exchange)
      : ReceiptReplay(receipt, chain), exchange_(exchange) {}

 private:
  bool go_on(u32, u32) override {
    exchange_.service().backend().let_others_step();
    return exchange_.has_reply();
  }

  Exchange& exchange_;
};

class VerifyWork final : public EngineWork {
 public:
  VerifyWork(Exchange& exchange, Receipt receipt, const StepChain& chain)
      : EngineWork(exchange), receipt_(std::move(receipt)), replay_(receipt_, chain, exchange) {}

  const Receipt& receipt() const { return receipt_; }
  json::Document schema;  // what the exchange's parameters point into
  GrammarRef grammar;

 private:
  Result<bool> piece(Engine& engine) override {
    TRY(replay_.run(engine, grammar.get()));
    return true;
  }
  void write(base::Writer& answer) override {
    Backend& backend = exchange().service().backend();
    u64 ms = (backend.now_ns() - exchange().accepted_ns) / 1'000'000;
    bool valid = replay_.fault().stage == ReceiptFault::Stage::kNone;
    char line[120];
    backend.log(base::format_into(line, "verified a receipt of {} and {} tokens in {} ms: {}",
                                  receipt_.prompt.size(), receipt_.answer.size(), ms,
                                  valid ? "valid" : replay_.fault().what));
    json::Writer w(answer);
    write_verification(receipt_, replay_.fault(), replay_.steps(), replay_.text(), w);
  }

  Receipt receipt_;
  Watched replay_;
};

// Sets the parameters from which make_grammar() compiles the receipt's grammar.
Result<void> set_grammar(const GrammarSource& source, json::Document& schema, Parameters& out,
                         ApiError& error) {
  using Kind = GrammarSource::Kind;
  if (source.kind == Kind::kNone) return {};
  if (source.kind == Kind::kGbnf) {
    out.grammar = source.text.view();
    return {};
  }
  Result<json::Document> parsed = json::Document::parse(source.text.view(), kBodyLimits);
  if (!parsed.has_value() && parsed.error().code == Errc::kOutOfMemory)
    return std::unexpected(parsed.error());
  if (!parsed.has_value() || !parsed->root().present())
    return error.bad("grammar.text", "the receipt's schema is no JSON");
  schema = std::move(*parsed);
  out.schema = schema.root();
  out.loose_schema = source.kind == Kind::kLooseSchema;
  return {};
}

}  // namespace

Result<crypto::Sha256Digest> Service::hash_of(Call& call, const Lease& lease) {
  Result<const crypto::Sha256Digest*> hash = backend_.model_sha256(lease);
  if (!hash.has_value() && hash.error().code == Errc::kUnsupported)
    return call.error.bad("receipt", "there are no receipts of this model: {}", hash.error().what);
  if (const crypto::Sha256Digest* known = TRY(hash); known != nullptr) return *known;
  return wait(call, WaitFor::kHash, lease.model());
}

// Refuses what could not be verified later.
Result<void> Service::prepare_receipt(Call& call, Exchange& exchange) {
  ApiError& error = call.error;
  const Parameters& p = exchange.parameters;
  if (backend_.receipt_key() == nullptr)
    return error.bad("receipt", "this machine has no key to sign receipts: its log says why");
  if (p.cuts_prompt)
    return error.bad("receipt",
                     "an answer that drops tokens when the context is full has no receipt: leave "
                     "out \"truncation\": \"auto\"");
  if (p.says_nothing) return error.bad("receipt", "an answer without tokens has no receipt");
  exchange.model_sha256 = TRY(hash_of(call, exchange.lease));
  return {};
}

Result<void> Service::receipt_key(Call& call) {
  const crypto::Ed25519PublicKey* key = backend_.receipt_key();
  if (key == nullptr)
    return call.error.refuse(404, "invalid_request_error", "no_key",
                             "this machine has no key to sign receipts: its log says why");
  String body;
  base::StringWriter sink(body);
  char digits[2 * crypto::kEd25519KeyBytes];
  base::BufferWriter hex(digits);
  base::write_hex(*key, hex);
  json::Writer w(sink);
  w.begin_object().field("object", "receipt.key").field("algorithm", "ed25519");
  w.field("key", hex.view()).field("receipt_version", kReceiptVersion);
  w.field("numerics_version", kNumericsVersion).end_object();
  TRY(sink.status());
  respond_json(call.to(), 200, body.view());
  return {};
}

// Judges first what is cheap to judge: the form, the signature, the model.
Result<void> Service::verify_receipt(Call& call) {
  ApiError& error = call.error;
  auto exchange = TRY(new_exchange(call, *kLlamaForm));
  json::Document body;
  TRY(parse_body(call, call.in.body, body));
  char sentence[kWhyBytes];
  base::BufferWriter why(sentence);
  auto judged_here = [&](const Result<void>& result) -> Result<void> {
    if (result.has_value() || result.error().code == Errc::kOutOfMemory) return result;
    bool elsewhere = result.error().code == Errc::kUnsupported;
    return error.refuse(elsewhere ? 409 : 400, "invalid_request_error",
                        elsewhere ? "receipt_of_another_machine" : "malformed_receipt", "{}",
                        why.view());
  };
  Result<Receipt> read = read_receipt(find_receipt(body.root()), why);
  if (!read.has_value()) return judged_here(std::unexpected(read.error()));
  Result<void> is_signed = check_signature(*read);
  if (!is_signed.has_value() && is_signed.error().code != Errc::kCorrupt) return is_signed;
  if (!is_signed.has_value()) {
    String answer;
    base::StringWriter sink(answer);
    json::Writer w(sink);
    write_verification(*read,
                       {.stage = ReceiptFault::Stage::kSignature,
                        .what = "the signature is not one of this receipt by its key"},
                       0, {}, w);
    TRY(sink.status());
    respond_json(call.to(), 200, answer.view());
    return {};
  }
  ModelRow row;
  bool named = find_row(read->model.view(), row);
  TRY(lend(*exchange, TRY(lease_for(call, named ? read->model.view() : std::string_view(),
                                    ModelUse::kWrite))));
  crypto::Sha256Digest hash = TRY(hash_of(call, exchange->lease));
  TRY(judged_here(check_place(*read, exchange->lease, hash, why)));
  StepChain chain = TRY(StepChain::create(*read));
  auto work = TRY(base::make<VerifyWork>(*exchange, std::move(*read), chain));
  TRY(set_grammar(work->receipt().grammar, work->schema, exchange->parameters, error));
  work->grammar = TRY(make_grammar(*exchange, error));
  exchange->work = std::move(work);
  return begin_work(call, std::move(exchange));
}

}  // namespace ai::openai
