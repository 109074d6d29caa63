// SPDX-License-Identifier: GPL-2.0-or-later
// Grammars that bound what a model may say: GBNF or JSON Schema to an automaton to token masks.
//
// A Grammar is compiled once and never changes; each request has its own GrammarState. The
// automaton works on bytes, so a token may end inside a character or a rule. Bounded: a grammar
// that nests deeper than kMaxStack simply stops allowing more nesting. Compiling takes time
// proportional to the text and the states, both limited, and never gives way. Thread context only.
#pragma once

#include "ai/platform.h"
#include "ai/tokenizer/tokenizer.h"
#include "kernel/base/json.h"

namespace ai {

// Every token's bytes as one tree, walked together with an automaton. One per tokenizer.
class TokenTrie {
 public:
  // In document order: the children of node i are i+1, then the skip of that, up to skip of i.
  struct Node {
    u32 skip;   // first node that is not below this one
    u32 first;  // into tokens(): the ids whose bytes end here
    u16 count;
    u8 byte;
    u8 depth;  // 0 for a first byte
  };
  static constexpr u32 kMaxTokenBytes = 255;  // longer tokens are never allowed by a grammar

  static Result<base::Owner<TokenTrie>> build(const Tokenizer& tokenizer);

  std::span<const Node> nodes() const { return nodes_.view(); }
  std::span<const TokenId> tokens() const { return tokens_.view(); }
  std::span<const TokenId> ends() const { return ends_.view(); }  // end-of-generation tokens
  const Tokenizer& tokenizer() const { return tokenizer_; }
  u32 vocabulary() const { return vocabulary_; }

  explicit TokenTrie(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

 private:
  const Tokenizer& tokenizer_;
  u32 vocabulary_ = 0;
  Vector<Node> nodes_;
  Vector<TokenId> tokens_;  // sorted by their bytes
  Vector<TokenId> ends_;
};

class Grammar {
 public:
  // GBNF as llama.cpp defines it, starting at rule "root". On failure `problem` gets a sentence
  // that names the rule, the line or the schema's keyword. `tokens` outlives the grammar.
  static Result<base::Owner<Grammar>> from_gbnf(std::string_view text, const TokenTrie& tokens,
                                                base::Writer& problem);
  // Values of a JSON Schema, as GBNF; a keyword that cannot be enforced is an error.
  static Result<base::Owner<Grammar>> from_schema(json::Value schema, const TokenTrie& tokens,
                                                  base::Writer& problem);

  // A state of the automaton. Calls push `other` and go to rule `next`.
  struct State {
    enum class Kind : u8 { kRange, kSplit, kCall, kReturn };
    Kind kind;
    u8 low = 0, high = 0;  // kRange: the bytes that lead to `next`
    u32 next = kNone, other = kNone;
  };
  static constexpr u32 kNone = ~u32{0};
  static constexpr usize kMaxText = kMiB;  // of GBNF, also of what a schema becomes

  std::span<const State> states() const { return states_.view(); }
  u32 rule_start(u32 rule) const { return rule_starts_[rule]; }
  u32 root() const { return root_; }
  // Bytes the grammar never tells apart share a class.
  u8 byte_class(u8 byte) const { return classes_[byte]; }
  u32 class_count() const { return class_count_; }
  const TokenTrie& tokens() const { return tokens_; }
  usize memory_bytes() const {
    return sizeof *this + states_.capacity() * sizeof(State) +
           rule_starts_.capacity() * sizeof(u32);
  }
  // States looked at by the search for left recursion: at most one look a state.
  u64 compile_steps() const { return compile_steps_; }

  explicit Grammar(const TokenTrie& tokens) : tokens_(tokens) {}

 private:
  friend class GbnfCompiler;
  const TokenTrie& tokens_;
  Vector<State> states_;
  Vector<u32> rule_starts_;
  u32 root_ = 0;
  u8 classes_[256] = {};
  u32 class_count_ = 0;
  u64 compile_steps_ = 0;
};

// The GBNF text of a schema; from_schema compiles it. For tests and `/apply-template`-like tools.
Result<String> schema_to_gbnf(json::Value schema, base::Writer& problem);
// The same with every rule's name prefixed and the root rule called `root`, so that several
// schemas can stand in one grammar. The shared JSON rules are in kJsonRules.
Result<void> append_schema_rules(json::Value schema, std::string_view root, String& out,
                                 base::Writer& problem);
// Rules named json-*: value, object, array, string, number, integer, boolean, null, space.
extern const std::string_view kJsonRules;

// Where one request stands. Everything is allocated by create(); mask() and accept() never are.
class GrammarState {
 public:
  static Result<base::Owner<GrammarState>> create(const Grammar& grammar);
  Result<base::Owner<GrammarState>> clone() const;

  // Sets the logit of every token that may not come next to -infinity; returns how many may.
  // 0 means the vocabulary cannot continue: end the request with an error. kInvalidArgument: the
  // grammar can be read in so many ways here that kMaskPairs do not suffice.
  // Gives way through `platform` meanwhile: this state and `logits` must stay until it returns.
  Result<u32> mask(std::span<float> logits, Platform& platform);
  bool allows(TokenId token);
  // Moves past `token`; false (and no move) when the grammar forbids it.
  bool accept(TokenId token);
  void reset();

  bool may_end() const;   // an end-of-generation token is allowed
  bool finished() const;  // only an end is allowed: the request may stop at once

  static constexpr u32 kMaxStack = 128;
  // Pairs of state and stack that one mask may meet, about 70 ms of work; JSON needs thousands.
  static constexpr u64 kMaskPairs = 2'000'000;

  explicit GrammarState(const Grammar& grammar) : grammar_(grammar) {}

 private:
  using ConfigId = u16;  // index into configs_; 0 is "dead"
  struct StackNode {
    u32 state, parent, depth;
  };
  // A set of (state, stack) pairs, all waiting for a byte.
  struct Config {
    u32 first, count;  // in items_
    u32 hash;
    bool accepting;
    u8 mask_slot;  // kNoMask: none cached
  };
  static constexpr u8 kNoMask = 255;
  static constexpr u32 kMaskSlots = 32;
  static constexpr ConfigId kDead = 0, kUnknown = 0xffff;

  Result<void> reserve();
  void start_over();  // forgets all configs and stacks
  void compact();     // forgets all but the current position
  ConfigId step(ConfigId from, u8 byte);
  ConfigId walk(ConfigId from, std::string_view bytes);
  ConfigId compute_step(ConfigId from, u8 byte);
  void begin_closure();
  void close_over(u32 state, u32 stack);
  ConfigId intern_closure();
  u32 push(u32 state, u32 parent);
  Result<std::span<const u64>> mask_of(ConfigId config, Platform& platform);
  Result<void> compute_mask(ConfigId config, std::span<u64> bits, Platform& platform);
  bool nearly_full() const;

  const Grammar& grammar_;
  Vector<Config> configs_;
  Vector<u64> items_;             // state << 32 | stack
  Vector<ConfigId> transitions_;  // (config, byte class)
  Vector<u16> config_index_;      // open addressing by hash
  Vector<StackNode> stacks_, old_stacks_;
  Vector<u32> stack_index_;
  Vector<u64> found_, pending_;  // of the closure being computed
  Vector<u64> seen_;             // open addressing: stamp in the top bits would not fit, so a pair
  Vector<u32> seen_stamp_;
  u32 stamp_ = 0;
  u32 met_ = 0;    // pairs of the closure being computed
  u64 pairs_ = 0;  // of all closures
  bool closure_accepts_ = false;
  bool truncated_ = false;  // a table was full during this walk
  Vector<u64> masks_;       // kMaskSlots of mask_words_
  u32 mask_words_ = 0;
  ConfigId slot_owner_[kMaskSlots] = {};
  u32 next_slot_ = 0;
  ConfigId current_ = kDead;
};

}  // namespace ai
