// SPDX-License-Identifier: GPL-2.0-or-later
// Answers questions about schemas, one a line: schema < questions > answers
//
// "S" and a schema compiles it: "ok STATES MICROSECONDS" or "refused SENTENCE". The other letters
// ask about the last schema that was compiled. "T" and a text: may an answer be exactly this text?
// "1" or "0". "G" and a number: a random text that the grammar takes, or "-" if none ended in time;
// the same number gives the same text.
#include <ctime>
#include <iostream>
#include <random>
#include <string>

#include "ai/text/grammar.h"
#include "tests/hosted/ai/text/grammar_fake.h"

namespace {

struct Tool {
  ApiTestTokenizer tokenizer;
  base::Owner<ai::TokenTrie> trie = std::move(*ai::TokenTrie::build(tokenizer));
  base::Owner<ai::Grammar> grammar;

  void compile(const std::string& text);
  bool takes(const std::string& text);
  std::string random_text(u32 seed);
};

void Tool::compile(const std::string& text) {
  grammar.reset();
  char problem[300];
  base::BufferWriter out(problem);
  std::clock_t begin = std::clock();
  auto document = json::Document::parse(text, {.depth = json::kMaxDepth});
  if (!document.has_value()) {
    std::cout << "refused no JSON\n";
    return;
  }
  auto made = ai::Grammar::from_schema(document->root(), *trie, out);
  // The processor's time is counted, because the machine may be busy.
  long spent = static_cast<long>((std::clock() - begin) * 1e6 / CLOCKS_PER_SEC);
  if (made.has_value()) {
    grammar = std::move(*made);
    std::cout << "ok " << grammar->states().size() << " " << spent;
  } else {
    std::string why(out.view());
    for (char& c : why)
      if (c == '\n') c = ' ';
    std::cout << "refused " << why << " (" << spent << " us)";
  }
  std::cout << "\n";
}

bool Tool::takes(const std::string& text) {
  auto state = ai::GrammarState::create(*grammar);
  for (char c : text)
    if (!(*state)->accept(static_cast<u8>(c))) return false;
  return (*state)->may_end();
}

// Chooses among the bytes that may come next; the longer the text, the likelier one that closes.
std::string Tool::random_text(u32 seed) {
  constexpr u32 kMost = 4000;
  std::mt19937 random(seed);
  auto state = ai::GrammarState::create(*grammar);
  std::string text;
  while (text.size() < kMost && !(*state)->finished()) {
    std::string open, closing;
    for (u32 byte = 0; byte < 256; byte++) {
      if (!(*state)->allows(byte)) continue;
      open.push_back(static_cast<char>(byte));
      if (byte == '"' || byte == ']' || byte == '}') closing.push_back(static_cast<char>(byte));
    }
    bool close = random() % 1000 < 100 + text.size();
    if ((*state)->may_end() && (open.empty() || close)) return text;
    if (open.empty()) return "-";
    const std::string& from = close && !closing.empty() ? closing : open;
    text.push_back(from[random() % from.size()]);
    if (!(*state)->accept(static_cast<u8>(text.back()))) return "-";
  }
  return (*state)->may_end() ? text : "-";
}

}  // namespace

int main() {
  Tool tool;
  for (std::string line; std::getline(std::cin, line);) {
    std::string rest = line.empty() ? "" : line.substr(1);
    if (line.starts_with('S')) {
      tool.compile(rest);
    } else if (tool.grammar == nullptr) {
      std::cout << "-\n";
    } else if (line.starts_with('T')) {
      std::cout << tool.takes(rest) << "\n";
    } else {
      std::string text = tool.random_text(static_cast<u32>(std::stoul(rest)));
      for (char& c : text)
        if (c == '\n') c = ' ';
      std::cout << text << "\n";
    }
    std::cout.flush();
  }
  return 0;
}
