// SPDX-License-Identifier: GPL-2.0-or-later
// The command `receipt`: shows the key that signs receipts, and verifies receipts with the loaded
// model (wiki/Receipts).
#include "ai/openai/receipt_replay.h"
#include "console/chat/generation.h"
#include "console/shell/command.h"
#include "console/shell/model_use.h"
#include "console/shell/verbs.h"
#include "kernel/base/hex.h"
#include "kernel/base/text.h"
#include "kernel/fs/file_system.h"
#include "service/host_path.h"
#include "service/perf_log.h"
#include "service/receipts.h"

namespace console {
namespace {

using ai::openai::Receipt, ai::openai::ReceiptFault;

constexpr const char* kUsage = "receipt key | verify FILE [KEY]";

// Shows the progress, and stops with Ctrl-C between two chunks.
class ShownReplay final : public ai::openai::ReceiptReplay {
 public:
  ShownReplay(const Receipt& receipt, const ai::openai::StepChain& chain)
      : ReceiptReplay(receipt, chain), progress_(&io(), "verifying", "tokens", 1) {}
  void set_turn(service::Turn& turn) { turn_ = &turn; }

 private:
  bool go_on(u32 done, u32 total) override {
    progress_.update(done, total);
    return turn_->go_on();
  }

  Progress progress_;
  service::Turn* turn_ = nullptr;
};

Result<void> run_key(std::span<const std::string_view>, base::Writer& out) {
  TRY(service::open_receipt_key());
  base::write_hex(*service::receipt_key(), out);
  base::format_to(out, "\n  secret part: {}\n", service::receipt_key_place());
  return {};
}

Result<void> check_key(const Receipt& receipt, std::string_view wanted) {
  char digits[2 * crypto::kEd25519KeyBytes];
  base::BufferWriter hex(digits);
  base::write_hex(receipt.key, hex);
  if (base::equal_ignoring_case(hex.view(), wanted)) return {};
  return fail(Errc::kPermission, "the receipt is signed by another key than the one given");
}

Result<ReceiptFault> replay(const ai::Lease& model, const Receipt& receipt, base::Writer& out) {
  ai::openai::StepChain chain = TRY(ai::openai::StepChain::create(receipt));
  base::Owner<ai::TokenTrie> trie;
  base::Owner<ai::Grammar> grammar;
  if (receipt.grammar.kind != ai::openai::GrammarSource::Kind::kNone) {
    trie = TRY(ai::TokenTrie::build(model.tokenizer()));
    char sentence[256];
    base::BufferWriter why(sentence);
    Result<base::Owner<ai::Grammar>> made =
        ai::openai::compile_grammar(receipt.grammar, *trie, why);
    if (!made.has_value()) base::format_to(out, "the receipt's grammar: {}\n", why.view());
    grammar = TRY(std::move(made));
  }
  auto shown = TRY(base::make<ShownReplay>(receipt, chain));
  KeyPatience patience(io());
  TRY(service::engine_host().between_steps(model, &patience, [&](service::Turn& turn) {
    shown->set_turn(turn);
    return shown->run(turn.engine(), grammar.get());
  }));
  if (shown->fault().stage == ReceiptFault::Stage::kNone) {
    out.write("  text    ");
    write_clean(out, shown->text());
    out.write("\n");
  }
  return shown->fault();
}

void print_fault(const ReceiptFault& fault, base::Writer& out) {
  base::format_to(out, "NOT VALID: {}", fault.what);
  if (fault.stage == ReceiptFault::Stage::kStep || fault.stage == ReceiptFault::Stage::kLogits ||
      fault.stage == ReceiptFault::Stage::kEnd)
    base::format_to(out, " (token {} of the answer, from 0)", fault.step);
  if (fault.recorded != ai::Tokenizer::kNoToken)
    base::format_to(out, ": {} is recorded, {} comes out", fault.recorded, fault.replayed);
  out.write("\n");
}

Result<void> verify_one(json::Value value, std::string_view key, base::Writer& out) {
  char sentence[400];
  base::BufferWriter why(sentence);
  Result<Receipt> read = ai::openai::read_receipt(value, why);
  if (!read.has_value()) {
    if (!why.view().empty()) base::format_to(out, "{}\n", why.view());
    return std::unexpected(read.error());
  }
  const Receipt& receipt = *read;
  TRY(ai::openai::check_signature(receipt));
  if (!key.empty()) TRY(check_key(receipt, key));
  ai::Lease model = TRY(use_model(service::kConsoleHolder, io()));
  ShownProgress progress(io(), "hashing");
  crypto::Sha256Digest hash = TRY(service::hash_model(model, &progress));
  Result<void> here = ai::openai::check_place(receipt, model, hash, why);
  if (!here.has_value()) {
    base::format_to(out, "{}\n", why.view());
    return here;
  }
  u64 start = timing::now_ns();
  ReceiptFault fault = TRY(replay(model, receipt, out));
  out.write("  key     ");
  base::write_hex(receipt.key, out);
  base::format_to(out, "\n  model   {}, SHA-256 ", receipt.model);
  base::write_hex(receipt.model_sha256, out);
  out.write("\n");
  if (fault.stage != ReceiptFault::Stage::kNone) {
    print_fault(fault, out);
    return fail(Errc::kCorrupt, "the receipt is not valid");
  }
  base::format_to(out, "valid: {} tokens came out again after a prompt of {}, in {} ms\n",
                  receipt.answer.size(), receipt.prompt.size(),
                  service::milliseconds(timing::now_ns() - start));
  return {};
}

// FILE is a receipt, or a whole answer of the API with one or with several.
Result<void> run_verify(std::span<const std::string_view> words, base::Writer& out) {
  constexpr usize kMostBytes = 16 * kMiB;
  char room[512];
  String text = TRY(fs::read_text(service::machine_path(words[0], room), kMostBytes));
  json::Document document = TRY(json::Document::parse(text.view()));
  std::string_view key = words.size() > 1 ? words[1] : "";
  json::Value several = document.root().find("receipts");
  for (json::Value one : several.elements()) TRY(verify_one(one, key, out));
  if (several.size() > 0) return {};
  return verify_one(ai::openai::find_receipt(document.root()), key, out);
}

constexpr Verb kVerbs[] = {{"key", 0, 0, run_key}, {"verify", 1, 2, run_verify}};

Result<void> run_receipt(const Arguments& arguments, base::Writer& out) {
  std::span<const std::string_view> words = arguments.words.subspan(1);
  return run_verb(find_verb(kVerbs, words), words, kUsage, out);
}

void complete_verb(std::string_view, void (*add)(void*, std::string_view), void* context) {
  complete_verbs(kVerbs, add, context);
}

constexpr Command kReceipt{
    "receipt",
    kUsage,
    "verifies that a model gave an answer",
    run_receipt,
    "A request with \"receipt\": true gets an answer with a signed receipt. verify reads it from\n"
    "FILE (the receipt, or the answer's JSON), checks its signature and the model's SHA-256, and\n"
    "lets the model make the answer again in one reading. With KEY it must be signed by that\n"
    "one. key shows the key of this machine (receipts.key= names its file).\n"
    "As a tool of the host: marrow receipt verify FILE model=MODEL.gguf",
    false,
    complete_verb};
CONSOLE_COMMAND(kReceipt);

}  // namespace
}  // namespace console
