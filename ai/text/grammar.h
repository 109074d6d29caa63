// SPDX-License-Identifier: GPL-2.0-or-later
// Grammars that restrict what a model may write: GBNF or JSON Schema is compiled to an automaton,
// which gives token masks.
//
// A Grammar is compiled once and never changes; each request has its own GrammarState. The
// automaton works on bytes, so a token may end inside a character or a rule. A grammar that nests
// deeper than kMaxStack just allows no deeper nesting. Compiling takes time proportional to the
// text and the states, both of which are limited, and does not yield. For threads only.
#pragma once

#include "ai/platform.h"
#include "ai/text/distinct_items.h"
#include "ai/tokenizer/tokenizer.h"
#include "kernel/base/json.h"

namespace ai {

// The bytes of all tokens as one tree, which is walked together with an automaton. There is one per
// tokenizer.
class TokenTrie {
 public:
  // Nodes are in depth-first order. The children of node i begin at i + 1; each one's `skip` is the
  // next, until skip of i.
  struct Node {
    u32 skip;   // first node that is not below this one
    u32 first;  // index into tokens(), where the ids whose bytes end here begin
    u16 count;
    u8 byte;
    u8 depth;  // 0 for the first byte
  };
  static constexpr u32 kMaxTokenBytes = 255;  // a grammar never allows longer tokens

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
  // Compiles GBNF as llama.cpp defines it, starting at the rule "root". On failure `problem` gets a
  // sentence that names the rule, the line or the schema's keyword. `tokens` must outlive the
  // grammar.
  static Result<base::Owner<Grammar>> from_gbnf(std::string_view text, const TokenTrie& tokens,
                                                base::Writer& problem);
  // Compiles a JSON Schema through GBNF. A keyword that cannot be enforced is an error.
  static Result<base::Owner<Grammar>> from_schema(json::Value schema, const TokenTrie& tokens,
                                                  base::Writer& problem);

  // A state of the automaton. A call pushes `other` and goes to rule `next`.
  struct State {
    enum class Kind : u8 { kRange, kSplit, kCall, kReturn };
    Kind kind;
    u8 low = 0, high = 0;  // kRange: the range of bytes that lead to `next`
    u32 next = kNone, other = kNone;
  };
  static constexpr u32 kNone = ~u32{0};
  static constexpr usize kMaxText = kMiB;  // of GBNF, also when made from a schema

  std::span<const State> states() const { return states_.view(); }
  u32 rule_start(u32 rule) const { return rule_starts_[rule]; }
  u32 root() const { return root_; }
  // Returns the class of a byte. The grammar never distinguishes bytes of one class.
  u8 byte_class(u8 byte) const { return classes_[byte]; }
  u32 class_count() const { return class_count_; }
  const TokenTrie& tokens() const { return tokens_; }
  usize memory_bytes() const {
    return sizeof *this + states_.capacity() * sizeof(State) +
           rule_starts_.capacity() * sizeof(u32);
  }
  // Returns the state that takes the bracket of an array whose items must differ, or kNone. It is
  // the rule json-distinct.
  u32 distinct_state() const { return distinct_state_; }
  // Returns how many states the search for left recursion looked at; it looks at each at most once.
  u64 compile_steps() const { return compile_steps_; }

  explicit Grammar(const TokenTrie& tokens) : tokens_(tokens) {}

 private:
  friend class GbnfCompiler;
  const TokenTrie& tokens_;
  Vector<State> states_;
  Vector<u32> rule_starts_;
  u32 root_ = 0;
  u32 distinct_state_ = kNone;
  u8 classes_[256] = {};
  u32 class_count_ = 0;
  u64 compile_steps_ = 0;
};

// Writes the GBNF text of a schema, which from_schema() compiles. For tests and tools that show it.
Result<String> schema_to_gbnf(json::Value schema, base::Writer& problem);
// Does the same, with every rule's name prefixed and the root rule called `root`, so that one
// grammar can contain several schemas. kJsonRules has the shared JSON rules.
Result<void> append_schema_rules(json::Value schema, std::string_view root, String& out,
                                 base::Writer& problem);
// The rules json-*: value, object, array, string, number, integer, boolean, null, space.
extern const std::string_view kJsonRules;

// The position of one request in its grammar. create() allocates everything; mask() and accept()
// allocate nothing.
class GrammarState {
 public:
  static Result<base::Owner<GrammarState>> create(const Grammar& grammar);
  Result<base::Owner<GrammarState>> clone() const;

  // Sets the logit of every token that may not come next to -infinity and returns how many may. 0
  // means that no token of the vocabulary can continue: end the request with an error. Returns
  // kInvalidArgument if the grammar can be read in so many ways here that kMaskPairs are not
  // enough. It breathes through `platform`, so this state and `logits` must stay valid until it
  // returns.
  Result<u32> mask(std::span<float> logits, Platform& platform);
  bool allows(TokenId token);
  // Advances past `token`. Returns false, without advancing, if the grammar forbids it.
  bool accept(TokenId token);
  void reset();

  bool may_end() const;   // an end-of-generation token is allowed
  bool finished() const;  // only the end is allowed: the request may stop at once

  static constexpr u32 kMaxStack = 128;
  // The most (state, stack) pairs that one mask may visit, about 70 ms of work. JSON needs
  // thousands.
  static constexpr u64 kMaskPairs = 2'000'000;

  explicit GrammarState(const Grammar& grammar) : grammar_(grammar) {}

 private:
  using ConfigId = u16;  // index into configs_; 0 means dead
  struct StackNode {
    u32 state, parent, depth;
  };
  // A set of (state, stack) pairs, each waiting for a byte.
  struct Config {
    u32 first, count;  // indices into items_
    u32 hash;
    bool accepting;
    u8 mask_slot;  // kNoMask: no mask is cached
  };
  static constexpr u8 kNoMask = 255;
  static constexpr u32 kMaskSlots = 32;
  static constexpr ConfigId kDead = 0, kUnknown = 0xffff;

  Result<void> reserve();
  void start_over();  // forgets all configurations and stacks
  void compact();     // forgets everything but the current position
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
  u32 keep_distinct(std::span<float> logits, std::span<const u64> bits, Platform& platform);
  bool stays_distinct(std::string_view piece, DistinctItems::Cursor& cursor);
  bool takes_distinct(ConfigId config) const;
  bool goes_on(ConfigId config, bool in_string) const;

  const Grammar& grammar_;
  base::Owner<DistinctItems> distinct_;  // null: no array of the grammar asks for it
  Vector<Config> configs_;
  Vector<u64> items_;             // state << 32 | stack
  Vector<ConfigId> transitions_;  // (config, byte class)
  Vector<u16> config_index_;      // open addressing by hash
  Vector<StackNode> stacks_, old_stacks_;
  Vector<u32> stack_index_;
  Vector<u64> found_, pending_;  // of the closure being computed
  // open addressing; a pair, because a stamp does not fit into the item's top bits
  Vector<u64> seen_;
  Vector<u32> seen_stamp_;
  u32 stamp_ = 0;
  u32 met_ = 0;    // pairs met by the closure being computed
  u64 pairs_ = 0;  // pairs met by all closures
  bool closure_accepts_ = false;
  bool truncated_ = false;  // a table was full during this walk
  Vector<u64> masks_;       // kMaskSlots of mask_words_
  u32 mask_words_ = 0;
  ConfigId slot_owner_[kMaskSlots] = {};
  u32 next_slot_ = 0;
  ConfigId current_ = kDead;
};

}  // namespace ai
