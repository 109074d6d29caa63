// SPDX-License-Identifier: GPL-2.0-or-later
// Finds the last breaker of a text, token by token.
#include "ai/text/dry_breakers.h"

#include <algorithm>

namespace ai {

Result<DryBreakers> DryBreakers::create(u32 vocabulary) {
  DryBreakers breakers;
  TRY(breakers.bits_.resize((vocabulary + 63) / 64));
  return breakers;
}

Result<void> DryBreakers::add(std::string_view text, const Tokenizer& tokenizer) {
  for (TokenId id = 0; id < tokenizer.size(); id++)
    if (tokenizer.piece(id).find(text) != std::string_view::npos) add(id);
  Vector<TokenId> tokens;
  TRY(tokenizer.encode(text, AddSpecial::kNo, ParseSpecial::kYes, tokens));
  if (tokens.size() == 1) add(tokens[0]);
  return tokens.size() > 1 ? in_a_row_.push_back(std::move(tokens)) : Result<void>();
}

u32 DryBreakers::run_of(std::span<const TokenId> tokens) const {
  u32 count = static_cast<u32>(tokens.size());
  for (u32 run = 0; run < count; run++) {
    if (is_one(tokens[count - 1 - run])) return run;
    for (const Vector<TokenId>& row : in_a_row_) {
      // Does the row end where the run begins?
      auto end = tokens.first(count - run);
      if (row.size() <= end.size() && std::ranges::equal(end.last(row.size()), row)) return run;
    }
  }
  return count;
}

}  // namespace ai
