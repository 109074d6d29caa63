// SPDX-License-Identifier: GPL-2.0-or-later
// Builds the token tree: sorts the tokens by their bytes, then adds a node for each new prefix.
#include <algorithm>

#include "ai/text/grammar.h"

namespace ai {

Result<base::Owner<TokenTrie>> TokenTrie::build(const Tokenizer& tokenizer) {
  base::Owner<TokenTrie> trie = TRY(base::make<TokenTrie>(tokenizer));
  trie->vocabulary_ = tokenizer.size();
  for (TokenId id = 0; id < tokenizer.size(); id++) {
    if (tokenizer.is_end(id)) TRY(trie->ends_.push_back(id));
    std::string_view piece = tokenizer.piece(id);
    if (piece.empty() || piece.size() > kMaxTokenBytes || tokenizer.is_control(id)) continue;
    if (!tokenizer.is_end(id)) TRY(trie->tokens_.push_back(id));
  }
  std::sort(trie->tokens_.begin(), trie->tokens_.end(), [&](TokenId a, TokenId b) {
    int order = tokenizer.piece(a).compare(tokenizer.piece(b));
    return order != 0 ? order < 0 : a < b;
  });
  Vector<Node>& nodes = trie->nodes_;
  u32 open[kMaxTokenBytes];
  std::string_view before;
  u32 depth = 0;
  auto close_to = [&](u32 wanted) {
    while (depth > wanted) nodes[open[--depth]].skip = static_cast<u32>(nodes.size());
  };
  for (u32 i = 0; i < trie->tokens_.size(); i++) {
    std::string_view piece = tokenizer.piece(trie->tokens_[i]);
    if (piece == before) {
      nodes[open[depth - 1]].count++;
      continue;
    }
    u32 common = 0;
    while (common < depth && common < piece.size() && piece[common] == before[common]) common++;
    close_to(common);
    for (; depth < piece.size(); depth++) {
      open[depth] = static_cast<u32>(nodes.size());
      TRY(nodes.push_back({0, i, 0, static_cast<u8>(piece[depth]), static_cast<u8>(depth)}));
    }
    nodes[open[depth - 1]].first = i;
    nodes[open[depth - 1]].count = 1;
    before = piece;
  }
  close_to(0);
  return trie;
}

}  // namespace ai
