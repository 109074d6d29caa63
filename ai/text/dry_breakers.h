// SPDX-License-Identifier: GPL-2.0-or-later
// The texts at which DRY's search for repetitions ends: what stands before the last of them does
// not make a repetition longer. Used by the sampler, on the engine's thread.
#pragma once

#include "ai/tokenizer/tokenizer.h"

namespace ai {

class DryBreakers {
 public:
  static Result<DryBreakers> create(u32 vocabulary);  // without breakers
  // Adds a text: each token that contains it, and the tokens that it is made of, in a row. Reads
  // the whole vocabulary, which takes about a millisecond for 100,000 tokens.
  Result<void> add(std::string_view text, const Tokenizer& tokenizer);
  void add(TokenId id) { bits_[id / 64] |= u64{1} << (id % 64); }
  // Returns how many of the last tokens stand behind the last breaker; all of them without one.
  u32 run_of(std::span<const TokenId> tokens) const;
  static u64 bytes(u32 vocabulary) { return (u64{vocabulary} + 63) / 64 * 8; }

 private:
  bool is_one(TokenId id) const { return (bits_[id / 64] >> (id % 64) & 1) != 0; }

  Vector<u64> bits_;                  // (vocabulary / 64) tokens that are breakers by themselves
  Vector<Vector<TokenId>> in_a_row_;  // of two tokens or more
};

}  // namespace ai
