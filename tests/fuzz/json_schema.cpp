// SPDX-License-Identifier: GPL-2.0-or-later
// Any schema compiles or is refused; a text written under its grammar is JSON once it is finished,
// and meets the schema.
#include "ai/text/grammar.h"
#include "ai/text/schema_check.h"
#include "tests/hosted/ai/text/grammar_fake.h"

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  static ApiTestTokenizer tokenizer;
  static base::Owner<ai::TokenTrie> trie = std::move(*ai::TokenTrie::build(tokenizer));
  if (size > 4096) return 0;
  auto schema = json::Document::parse({reinterpret_cast<const char*>(data), size});
  if (!schema.has_value()) return 0;
  char problem[200];
  base::BufferWriter out(problem);
  auto grammar = ai::Grammar::from_schema(schema->root(), *trie, out);
  if (!grammar.has_value()) return 0;
  auto state = ai::GrammarState::create(**grammar);
  if (!state.has_value()) return 0;
  String written;
  u32 seed = static_cast<u32>(size);
  for (u32 step = 0; step < 200 && !(*state)->finished(); step++) {
    u32 id = 0;
    for (u32 tries = 0; tries < 4000; tries++) {
      seed = seed * 1664525 + 1013904223;
      constexpr std::string_view kClosing = "\"}]\"}]0,";
      bool close = step > 16 && tries < kClosing.size();
      id = close ? static_cast<u8>(kClosing[tries]) : (seed >> 8) % tokenizer.size();
      if (id != ApiTestTokenizer::kEnd && (*state)->accept(id)) break;
      id = ApiTestTokenizer::kEnd;
    }
    if (id == ApiTestTokenizer::kEnd) break;
    if (!written.append(tokenizer.piece(id)).has_value()) return 0;
  }
  if (!(*state)->may_end()) return 0;
  auto value = json::Document::parse(written.view(), {.depth = json::kMaxDepth});
  ASSERT(value.has_value());
  ai::Work work(1'000'000);
  ai::SchemaCheck check(schema->root(), work);
  ASSERT(check.holds(schema->root(), value->root()).value_or(true));
  return 0;
}
