// SPDX-License-Identifier: GPL-2.0-or-later
// Compiles arbitrary GBNF text, or sees it refused. The masks of what compiles must agree with a
// walk through the automaton.
#include "ai/text/grammar.h"
#include "tests/hosted/ai/text/grammar_fake.h"
#include "tests/hosted/test_platform.h"

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  static ApiTestTokenizer tokenizer;
  static TestPlatform platform;
  static base::Owner<ai::TokenTrie> trie = std::move(*ai::TokenTrie::build(tokenizer));
  if (size < 8 || size > 4096) return 0;
  std::string_view text(reinterpret_cast<const char*>(data) + 8, size - 8);
  char problem[200];
  base::BufferWriter out(problem);
  auto grammar = ai::Grammar::from_gbnf(text, *trie, out);
  if (!grammar.has_value()) return 0;
  auto state = ai::GrammarState::create(**grammar);
  if (!state.has_value()) return 0;
  for (u32 step = 0; step < 8; step++) {
    float logits[300] = {};
    if ((*state)->mask(logits, platform).value_or(0) == 0) break;
    u32 id = data[step];
    for (u32 i = 0; i < 300 && logits[id] != 0.0f; i++) id = (id + 1) % 300;
    ASSERT((*state)->accept(id));
  }
  return 0;
}
