// SPDX-License-Identifier: GPL-2.0-or-later
// Caches compiled grammars by the text they were compiled from, so that the next request with the
// same grammar need not compile it again.
//
// A grammar never changes, so all choices of all requests share it, and each keeps a GrammarRef.
// For threads; nothing here yields.
#pragma once

#include "ai/text/grammar.h"
#include "kernel/crypto/sha256.h"

namespace ai::openai {

// A counted reference to a grammar, or empty. The last reference destroys the grammar.
class GrammarRef {
 public:
  GrammarRef() = default;
  // Makes the first reference.
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

  // Returns the key of a grammar: a hash of its kind and its text, or its schema as JSON.
  static Key key_of(Kind kind, std::string_view text);
  static Key key_of(Kind kind, json::Value schema, bool loose);

  // Returns the token tree for `tokenizer`. It is built anew for another tokenizer, and all cached
  // grammars are then dropped.
  Result<const TokenTrie*> tokens(const Tokenizer& tokenizer);
  // Returns the grammar of that key, or an empty reference. Call tokens() first.
  GrammarRef find(const Key& key);
  // Adds a grammar and drops the ones that were used longest ago.
  Result<GrammarRef> keep(const Key& key, base::Owner<Grammar> grammar);
  // The model was unloaded. References that are still held must not be used any more.
  void clear();

  u64 compiled() const { return compiled_; }

  static constexpr usize kMostKept = 16;
  static constexpr usize kMostBytes = 16 * kMiB;

 private:
  struct Entry {
    Key key;
    GrammarRef grammar;
    u64 used;  // look-ups are counted; this is the last one's number
  };
  void make_room(usize bytes);

  base::Owner<TokenTrie> trie_;
  const Tokenizer* trie_of_ = nullptr;
  Vector<Entry> entries_;
  u64 lookups_ = 0, compiled_ = 0;
};

}  // namespace ai::openai
