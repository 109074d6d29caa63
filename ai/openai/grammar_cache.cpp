// SPDX-License-Identifier: GPL-2.0-or-later
// Counts references, and keeps a short list of the grammars that were used last.
#include "ai/openai/grammar_cache.h"

namespace ai::openai {
namespace {

// Puts the length before each text, so that no two lists of texts hash the same bytes.
void add(crypto::Sha256& hash, u64 number, std::string_view text) {
  hash.update({reinterpret_cast<const Byte*>(&number), sizeof number});
  hash.update({reinterpret_cast<const Byte*>(text.data()), text.size()});
}

}  // namespace

Result<GrammarRef> GrammarRef::own(base::Owner<Grammar> grammar) {
  base::Owner<Shared> shared = TRY(base::make<Shared>(std::move(grammar), 1u));
  GrammarRef ref;
  ref.shared_ = shared.release();
  return ref;
}

GrammarRef GrammarRef::share() const {
  GrammarRef other;
  other.shared_ = shared_;
  if (shared_ != nullptr) shared_->references++;
  return other;
}

GrammarRef::~GrammarRef() {
  if (shared_ == nullptr || --shared_->references > 0) return;
  base::Owner<Shared> last(shared_);
}

GrammarCache::Key GrammarCache::key_of(Kind kind, std::string_view text) {
  crypto::Sha256 hash;
  add(hash, static_cast<u64>(kind), text);
  return hash.finish();
}

GrammarCache::Key GrammarCache::key_of(Kind kind, json::Value schema, bool loose) {
  crypto::Sha256 hash;
  add(hash, static_cast<u64>(kind) << 1 | loose, {});
  for (const json::Node& node : schema.nodes()) {
    add(hash, static_cast<u64>(node.kind), {});
    add(hash, u64{node.count} << 32 | node.text.size(), node.text);
  }
  return hash.finish();
}

Result<const TokenTrie*> GrammarCache::tokens(const Tokenizer& tokenizer) {
  if (trie_ == nullptr || trie_of_ != &tokenizer) {
    clear();
    trie_ = TRY(TokenTrie::build(tokenizer));
    trie_of_ = &tokenizer;
  }
  return trie_.get();
}

GrammarRef GrammarCache::find(const Key& key) {
  lookups_++;
  for (Entry& entry : entries_) {
    if (entry.key != key) continue;
    entry.used = lookups_;
    return entry.grammar.share();
  }
  return {};
}

Result<GrammarRef> GrammarCache::keep(const Key& key, base::Owner<Grammar> grammar) {
  compiled_++;
  usize bytes = grammar->memory_bytes();
  GrammarRef made = TRY(GrammarRef::own(std::move(grammar)));
  make_room(bytes);
  if (bytes <= kMostBytes) TRY(entries_.push_back({key, made.share(), lookups_}));
  return made;
}

void GrammarCache::make_room(usize bytes) {
  for (;;) {
    usize kept = 0, oldest = 0;
    for (usize i = 0; i < entries_.size(); i++) {
      kept += entries_[i].grammar.get()->memory_bytes();
      if (entries_[i].used < entries_[oldest].used) oldest = i;
    }
    if (entries_.empty() || (entries_.size() < kMostKept && kept + bytes <= kMostBytes)) return;
    entries_.erase(oldest);
  }
}

void GrammarCache::clear() {
  entries_.clear();
  trie_.reset();
  trie_of_ = nullptr;
}

}  // namespace ai::openai
