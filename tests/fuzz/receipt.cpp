// SPDX-License-Identifier: GPL-2.0-or-later
// Reads arbitrary bytes as a receipt, and the answer of an API around one. What is taken is written
// and read again without a change, and is judged by an engine that answers with a script.
#include "ai/openai/receipt_replay.h"
#include "tests/hosted/ai/openai/fake_backend.h"

namespace {

String written(const ai::openai::Receipt& receipt) {
  String out;
  base::StringWriter sink(out);
  json::Writer w(sink);
  ai::openai::write_receipt(receipt, ai::openai::ReceiptPart::kWhole, w);
  ASSERT(sink.status().has_value());
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  auto document = json::Document::parse(text, ai::openai::kBodyLimits);
  if (!document.has_value()) return 0;
  char sentence[320];
  base::BufferWriter why(sentence);
  auto receipt = ai::openai::read_receipt(ai::openai::find_receipt(document->root()), why);
  if (!receipt.has_value()) {
    ASSERT(!why.view().empty() || receipt.error().code == Errc::kOutOfMemory);
    return 0;
  }
  String once = written(*receipt);
  auto second = json::Document::parse(once.view(), ai::openai::kBodyLimits);
  ASSERT(second.has_value());
  auto again = ai::openai::read_receipt(second->root(), why);
  ASSERT(again.has_value());
  ASSERT(written(*again).view() == once.view());

  static ApiTestEngine engine;
  static const base::Owner<ai::TokenTrie> trie =
      std::move(*ai::TokenTrie::build(engine.tokenizer()));
  char problem[256];
  base::BufferWriter told(problem);
  auto grammar = ai::openai::compile_grammar(receipt->grammar, *trie, told);
  ai::openai::ReceiptReplay replay(*receipt, *ai::openai::StepChain::create(*receipt));
  if (grammar.has_value()) ASSERT(replay.run(engine, grammar->get()).has_value());
  ASSERT(replay.steps() <= receipt->answer.size());
  return 0;
}
