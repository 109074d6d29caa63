// SPDX-License-Identifier: GPL-2.0-or-later
// Compares an answer that is made again with its receipt, token by token.
#include "ai/openai/receipt_replay.h"

#include "ai/text/chat_template.h"
#include "kernel/base/hex.h"
#include "kernel/base/wipe.h"

namespace ai::openai {
namespace {

constexpr const char* kStages[] = {"", "signature", "step", "logits", "end", "text"};

// An error that says something about the receipt, and not about the machine's state.
bool is_about_the_answer(Errc code) {
  return code == Errc::kInvalidArgument || code == Errc::kNotFound || code == Errc::kCorrupt;
}

}  // namespace

Result<void> check_place(const Receipt& receipt, const Lease& lease,
                         const crypto::Sha256Digest& model_sha256, base::Writer& why) {
  const ModelInfo& info = lease.info();
  auto refuse = [] { return fail(Errc::kUnsupported, "the receipt cannot be judged here"); };
  if (receipt.model_sha256 != model_sha256) {
    why.write("the receipt is of a model with SHA-256 ");
    base::write_hex(receipt.model_sha256, why);
    why.write(", the loaded model has ");
    base::write_hex(model_sha256, why);
    base::format_to(why, " (here '{}', there '{}')", lease.model(), receipt.model);
    return refuse();
  }
  if (receipt.cache != info.kv_type) {
    base::format_to(why, "the answer was made with kv={}, here is kv={}: load the model with {}",
                    kv_type_info(receipt.cache).name, kv_type_info(info.kv_type).name,
                    kv_type_info(receipt.cache).name);
    return refuse();
  }
  // LongRoPE turns keys differently from a certain context on, which the fingerprint tells.
  if (receipt.context > info.context || receipt.fingerprint != info.fingerprint) {
    base::format_to(why,
                    "the answer was made with a context of {} tokens, here it has {}: load the "
                    "model with context={}",
                    receipt.context, info.context, receipt.context);
    return refuse();
  }
  const ChatTemplate* chat = lease.chat_template();
  crypto::Sha256Digest digest{};
  if (chat != nullptr) digest = crypto::sha256(chat->source());
  if ((chat != nullptr) == receipt.has_template && digest == receipt.template_sha256) return {};
  why.write("the receipt names another chat template than this model has");
  return refuse();
}

Result<base::Owner<Grammar>> compile_schema(json::Value schema, bool loose, const TokenTrie& tokens,
                                            base::Writer& why) {
  Result<base::Owner<Grammar>> made = Grammar::from_schema(schema, tokens, why);
  bool refused = !made.has_value() && made.error().code == Errc::kInvalidArgument;
  if (!refused || !loose) return made;
  String text;
  TRY(text.append(kJsonRules));
  TRY(text.append("root ::= json-value\n"));
  return Grammar::from_gbnf(text.view(), tokens, why);
}

Result<base::Owner<Grammar>> compile_grammar(const GrammarSource& source, const TokenTrie& tokens,
                                             base::Writer& why) {
  using Kind = GrammarSource::Kind;
  if (source.kind == Kind::kNone) return base::Owner<Grammar>();
  if (source.kind == Kind::kGbnf) return Grammar::from_gbnf(source.text.view(), tokens, why);
  Result<json::Document> schema = json::Document::parse(source.text.view());
  if (!schema.has_value()) {
    base::format_to(why, "the schema is no JSON: {}", schema.error().what);
    return fail(Errc::kInvalidArgument, "the receipt's schema is no JSON");
  }
  return compile_schema(schema->root(), source.kind == Kind::kLooseSchema, tokens, why);
}

ReceiptReplay::~ReceiptReplay() {
  base::wipe(text_);
}

Result<void> ReceiptReplay::run(Engine& engine, const Grammar* grammar) {
  Vector<std::string_view> stops;
  for (const String& stop : receipt_.stop) TRY(stops.push_back(stop.view()));
  Vector<std::string_view> breakers;
  for (const String& breaker : receipt_.dry_breakers) TRY(breakers.push_back(breaker.view()));
  Replay replay;
  replay.answer = receipt_.answer.view();
  replay.context = receipt_.context;
  replay.request.prompt = receipt_.prompt.view();
  replay.request.sampling = receipt_.sampling;
  replay.request.dry_breakers = breakers.view();
  replay.request.bias = receipt_.bias.view();
  replay.request.max_tokens = receipt_.max_tokens;
  replay.request.stop = stops.view();
  replay.request.ignore_end = receipt_.ignore_end;
  replay.request.grammar = grammar;
  replay.request.report_picks = true;
  Result<void> done = engine.replay(replay, *this);
  TRY(kept_);
  if (found()) return {};
  if (!done.has_value() && !is_about_the_answer(done.error().code)) return done;
  if (!done.has_value())
    find(ReceiptFault::Stage::kStep, steps_, done.error().what);
  else
    judge_end();
  return {};
}

void ReceiptReplay::find(ReceiptFault::Stage stage, u32 step, const char* what) {
  if (found()) return;
  fault_ = {.stage = stage, .step = step, .what = what};
}

void ReceiptReplay::on_pick(const Pick& pick) {
  if (found() || steps_ == receipt_.answer.size()) return;
  TokenId recorded = receipt_.answer[steps_];
  if (pick.id != recorded) {
    find(ReceiptFault::Stage::kStep, steps_, "another token comes out at this step");
    fault_.recorded = recorded, fault_.replayed = pick.id;
    return;
  }
  chain_.add(pick);
  if (chain_.mark() != receipt_.marks[steps_])
    return find(ReceiptFault::Stage::kLogits, steps_,
                "the token comes out, but it was picked from other logits");
  steps_++;
}

void ReceiptReplay::on_token(const TokenEvent& event) {
  if (found()) return;
  hash_.update({reinterpret_cast<const Byte*>(event.text.data()), event.text.size()});
  if (kept_.has_value()) kept_ = text_.append(event.text);
}

void ReceiptReplay::on_end(FinishReason reason, const Timings&, const Error*) {
  ended_ = true;
  reason_ = reason;
}

bool ReceiptReplay::on_chunk(u32 done, u32 total) {
  return !found() && kept_.has_value() && go_on(done, total);
}

void ReceiptReplay::judge_end() {
  using Stage = ReceiptFault::Stage;
  if (!ended_)
    return find(Stage::kEnd, steps_ == 0 ? 0 : steps_ - 1,
                "the answer is not at its end after its last token");
  if (steps_ < receipt_.answer.size())
    return find(Stage::kEnd, steps_, "the answer ends before this token");
  if (reason_ != receipt_.finish)
    return find(Stage::kEnd, steps_ - 1, "the answer ends here, but for another reason");
  if (chain_.value() != receipt_.chain)
    return find(Stage::kLogits, steps_ - 1, "the chain of hashes ends in another value");
  if (hash_.finish() != receipt_.text_sha256)
    find(Stage::kText, steps_ - 1, "the tokens come out, but the hash of their text is another");
}

void write_verification(const Receipt& receipt, const ReceiptFault& fault, u32 steps,
                        std::string_view text, json::Writer& w) {
  using Stage = ReceiptFault::Stage;
  bool valid = fault.stage == Stage::kNone;
  char hex[2 * crypto::kEd25519KeyBytes];
  base::BufferWriter key(hex);
  base::write_hex(receipt.key, key);
  w.begin_object().field("object", "receipt.verification").field("valid", valid);
  w.field("key", key.view());
  if (!valid) {
    w.field("stage", kStages[static_cast<usize>(fault.stage)]).field("reason", fault.what);
    bool has_step = fault.stage != Stage::kSignature && fault.stage != Stage::kText;
    if (has_step) w.field("step", fault.step);
    if (fault.recorded != Tokenizer::kNoToken)
      w.field("recorded", fault.recorded).field("replayed", fault.replayed);
  }
  w.field("model", receipt.model).field("prompt_tokens", receipt.prompt.size());
  w.field("answer_tokens", receipt.answer.size()).field("verified_tokens", steps);
  if (fault.stage != Stage::kSignature) w.field("text", text);
  w.end_object();
}

}  // namespace ai::openai
