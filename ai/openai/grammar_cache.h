// SPDX-License-Identifier: GPL-2.0-or-later
// Compiled grammars by what they were compiled from: once a request, and not again for the next one
// that wants the same.
//
// A grammar never changes, so that all choices of all requests share it; each keeps a GrammarRef.
// Thread context, without yields.
#pragma once

#include "ai/text/grammar.h"
#include "kernel/crypto/sha256.h"

namespace ai::openai {

// Keeps a grammar, or nothing. The grammar goes with the last of its references.
class GrammarRef {
 public:
  GrammarRef() = default;
  // The first reference.
  static Result<GrammarRef> own(base::Owner<Grammar> grammar);
  GrammarRef(GrammarRef&& other) noexcept : shared_(std::exchange(other.shared_, nullptr)) {}
  GrammarRef& operator=(GrammarRef&& other) noexcept {
    std::swap(shared_, other.shared_);
    return *this;
  }
  GrammarRef(const GrammarRef&) = delete;
  GrammarRef& operator=(const GrammarRef&) = delete;
  ~GrammarRef();

  GrammarRef share() const;
  const Grammar* get() const { return shared_ == nullptr ? nullptr : shared_->grammar.get(); }

 private:
  struct Shared {
    base::Owner<Grammar> grammar;
    u32 references;
  };
  Shared* shared_ = nullptr;
};

class GrammarCache {
 public:
  enum class Kind : u8 { kGbnf, kSchema, kTools, kAnyObject };
  using Key = crypto::Sha256Digest;

  // What a grammar of that kind is compiled from: its text, or its schema as JSON.
  static Key key_of(Kind kind, std::string_view text);
  static Key key_of(Kind kind, json::Value schema);

  // The tree of the tokens that all grammars here are for, built when `tokenizer` is another one;
  // then nothing of the old one is kept.
  Result<const TokenTrie*> tokens(const Tokenizer& tokenizer);
  // The grammar of that key, or none. Only after tokens().
  GrammarRef find(const Key& key);
  // Keeps it for later, and lets go of those that were wanted the longest ago.
  Result<GrammarRef> keep(const Key& key, base::Owner<Grammar> grammar);
  // The model has gone. References that are still held must not be used any more.
  void clear();

  u64 compiled() const { return compiled_; }

  static constexpr usize kMostKept = 16;
  static constexpr usize kMostBytes = 16 * kMiB;

 private:
  struct Entry {
    Key key;
    GrammarRef grammar;
    u64 used;  // by the count of look-ups
  };
  void make_room(usize bytes);

  base::Owner<TokenTrie> trie_;
  const Tokenizer* trie_of_ = nullptr;
  Vector<Entry> entries_;
  u64 lookups_ = 0, compiled_ = 0;
};

}  // namespace ai::openai
