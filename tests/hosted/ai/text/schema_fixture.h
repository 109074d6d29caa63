// SPDX-License-Identifier: GPL-2.0-or-later
// Compiles schemas and asks which texts they take.
#pragma once

#include <string>

#include "kernel/base/test.h"
#include "tests/hosted/ai/text/grammar_fake.h"

struct SchemaFixture {
  ApiTestTokenizer tokenizer;
  base::Owner<ai::TokenTrie> trie = std::move(*ai::TokenTrie::build(tokenizer));
  char problem[300];
  std::string_view said;

  base::Owner<ai::Grammar> gbnf(std::string_view text) {
    base::BufferWriter out(problem);
    auto made = ai::Grammar::from_gbnf(text, *trie, out);
    said = out.view();
    return made.has_value() ? std::move(*made) : nullptr;
  }
  base::Owner<ai::Grammar> compile(std::string_view text) {
    base::BufferWriter out(problem);
    said = "no JSON";
    auto document = json::Document::parse(text);
    if (!document.has_value()) return nullptr;
    auto made = ai::Grammar::from_schema(document->root(), *trie, out);
    said = out.view();
    return made.has_value() ? std::move(*made) : nullptr;
  }
};

// Does the grammar take exactly `text`?
inline bool matches(const base::Owner<ai::Grammar>& grammar, std::string_view text) {
  if (grammar == nullptr) return false;
  auto state = ai::GrammarState::create(*grammar);
  if (!state.has_value()) return false;
  for (char c : text)
    if (!(*state)->accept(static_cast<u8>(c))) return false;
  return (*state)->may_end();
}

struct SchemaCase {
  std::string_view schema, good, bad;  // texts separated by '\n'
};

// Reports every text that is judged wrongly.
inline void check_cases(TestContext& test, std::span<const SchemaCase> cases) {
  SchemaFixture f;
  for (const SchemaCase& c : cases) {
    auto grammar = f.compile(c.schema);
    if (grammar == nullptr) {
      test.report(__FILE__, __LINE__, c.schema);
      test.report(__FILE__, __LINE__, f.said);
      continue;
    }
    for (bool wanted : {true, false}) {
      std::string_view rest = wanted ? c.good : c.bad;
      while (!rest.empty()) {
        std::string_view text = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), text.size() + 1));
        if (matches(grammar, text) == wanted) continue;
        char line[400];
        test.report(
            __FILE__, __LINE__,
            base::format_into(line, "{} {} {}", c.schema, wanted ? "refuses" : "takes", text));
      }
    }
  }
}
