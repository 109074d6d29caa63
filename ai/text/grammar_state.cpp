// SPDX-License-Identifier: GPL-2.0-or-later
// Runs the automaton of a grammar: makes its configurations deterministic as they are met, and
// caches masks.
//
// A configuration is a set of (state, stack) pairs; stacks are shared lists of return states. Each
// step from a configuration by a byte class is computed once and then looked up, so the walk over
// the token tree costs one look-up per node. When a table is full, everything but the current
// configuration is dropped and computed again when needed.
#include <algorithm>
#include <bit>
#include <limits>

#include "ai/text/grammar.h"

namespace ai {
namespace {

using State = Grammar::State;

constexpr u32 kMaxConfigs = 4096;
constexpr u32 kMaxItems = 48 * 1024;  // over all configurations together
constexpr u32 kMaxClosure = 4096;     // pairs met while one configuration is computed
constexpr u32 kMaxStacks = 8192;
constexpr u32 kNoStack = ~u32{0};  // the depth limit was exceeded
constexpr u32 kTransitionBytes = 512 * 1024;
// pairs met or tree nodes visited: about half a millisecond
constexpr u64 kStepsPerBreath = 20'000;

u32 mix(u64 v) {
  v *= 0x9e3779b97f4a7c15;
  return static_cast<u32>(v >> 32);
}
u64 pair_of(u32 state, u32 stack) {
  return u64{state} << 32 | stack;
}
u32 state_of(u64 item) {
  return static_cast<u32>(item >> 32);
}
u32 stack_of(u64 item) {
  return static_cast<u32>(item);
}

template <class T>
Result<void> copy_vector(Vector<T>& to, const Vector<T>& from) {
  to = TRY(from.clone());
  return to.reserve(from.capacity());
}

}  // namespace

Result<base::Owner<GrammarState>> GrammarState::create(const Grammar& grammar) {
  base::Owner<GrammarState> state = TRY(base::make<GrammarState>(grammar));
  TRY(state->reserve());
  if (grammar.distinct_state() != Grammar::kNone) state->distinct_ = TRY(DistinctItems::create());
  state->reset();
  return state;
}

Result<void> GrammarState::reserve() {
  u32 configs = std::clamp<u32>(kTransitionBytes / (grammar_.class_count() * 2), 512, kMaxConfigs);
  mask_words_ = (grammar_.tokens().vocabulary() + 63) / 64;
  TRY(configs_.reserve(configs));
  TRY(items_.reserve(kMaxItems));
  TRY(transitions_.resize(usize{configs} * grammar_.class_count()));
  TRY(config_index_.resize(kMaxConfigs * 2));
  TRY(stacks_.reserve(kMaxStacks));
  TRY(old_stacks_.reserve(kMaxStacks));
  TRY(stack_index_.resize(kMaxStacks * 2));
  TRY(found_.reserve(kMaxClosure));
  TRY(pending_.reserve(kMaxClosure));
  TRY(seen_.resize(kMaxClosure * 2));
  TRY(seen_stamp_.resize(kMaxClosure * 2));
  return masks_.resize(usize{mask_words_} * kMaskSlots);
}

Result<base::Owner<GrammarState>> GrammarState::clone() const {
  base::Owner<GrammarState> copy = TRY(create(grammar_));
  TRY(copy_vector(copy->configs_, configs_));
  TRY(copy_vector(copy->items_, items_));
  TRY(copy_vector(copy->transitions_, transitions_));
  TRY(copy_vector(copy->config_index_, config_index_));
  TRY(copy_vector(copy->stacks_, stacks_));
  TRY(copy_vector(copy->stack_index_, stack_index_));
  // Masks are not copied: they are computed again when needed.
  for (Config& config : copy->configs_) config.mask_slot = kNoMask;
  copy->current_ = current_;
  if (distinct_ != nullptr) copy->distinct_ = TRY(distinct_->clone());
  return copy;
}

void GrammarState::start_over() {
  configs_.clear();
  items_.clear();
  stacks_.clear();
  std::fill(config_index_.begin(), config_index_.end(), u16{0});
  std::fill(stack_index_.begin(), stack_index_.end(), u32{0});
  std::fill(std::begin(slot_owner_), std::end(slot_owner_), kDead);
  // Configuration 0 means "dead" and stack 0 means "empty". create() reserved room for both.
  (void)configs_.push_back({0, 0, 0, false, kNoMask});
  (void)stacks_.push_back({Grammar::kNone, 0, 0});
  std::fill_n(transitions_.begin(), grammar_.class_count(), kDead);
}

void GrammarState::reset() {
  if (distinct_ != nullptr) distinct_->reset();
  start_over();
  begin_closure();
  close_over(grammar_.rule_start(grammar_.root()), 0);
  current_ = intern_closure();
}

bool GrammarState::nearly_full() const {
  return configs_.size() > configs_.capacity() / 2 || items_.size() > items_.capacity() / 2 ||
         stacks_.size() > stacks_.capacity() / 2;
}

void GrammarState::compact() {
  begin_closure();
  std::swap(stacks_, old_stacks_);
  Config kept = configs_[current_];
  closure_accepts_ = kept.accepting;
  for (u32 i = 0; i < kept.count; i++) (void)found_.push_back(items_[kept.first + i]);
  start_over();
  for (u64& item : found_) {
    // Copies the old stack from bottom to top.
    u32 chain[kMaxStack + 1], length = 0;
    for (u32 at = stack_of(item); at != 0; at = old_stacks_[at].parent)
      chain[length++] = old_stacks_[at].state;
    u32 stack = 0;
    while (length > 0) stack = push(chain[--length], stack);
    item = pair_of(state_of(item), stack);
  }
  current_ = intern_closure();
}

// ---- one step -------------------------------------------------------------------------------

u32 GrammarState::push(u32 state, u32 parent) {
  u32 depth = stacks_[parent].depth + 1;
  if (depth > kMaxStack) return kNoStack;
  u32 size = static_cast<u32>(stack_index_.size());
  u32 slot = mix(pair_of(state, parent)) % size;
  for (; stack_index_[slot] != 0; slot = (slot + 1) % size) {
    const StackNode& node = stacks_[stack_index_[slot]];
    if (node.state == state && node.parent == parent) return stack_index_[slot];
  }
  if (stacks_.size() == stacks_.capacity()) {
    truncated_ = true;
    return kNoStack;
  }
  stack_index_[slot] = static_cast<u32>(stacks_.size());
  (void)stacks_.push_back({state, parent, depth});
  return stack_index_[slot];
}

void GrammarState::begin_closure() {
  found_.clear();
  pending_.clear();
  met_ = 0;
  closure_accepts_ = false;
  if (++stamp_ == 0) {  // after 2^32 closures, old stamps could be taken for new ones
    std::fill(seen_stamp_.begin(), seen_stamp_.end(), u32{0});
    stamp_ = 1;
  }
}

// Follows everything that consumes no byte, and collects the states that wait for a byte in found_.
void GrammarState::close_over(u32 state, u32 stack) {
  std::span<const State> states = grammar_.states();
  u32 size = static_cast<u32>(seen_.size());
  auto add = [&](u32 to, u32 on) {
    if (to == Grammar::kNone || on == kNoStack) return;
    u64 item = pair_of(to, on);
    u32 slot = mix(item) % size;
    for (; seen_stamp_[slot] == stamp_; slot = (slot + 1) % size)
      if (seen_[slot] == item) return;
    bool waits = states[to].kind == State::Kind::kRange;
    Vector<u64>& list = waits ? found_ : pending_;
    // The limit counts all pairs, not only those that wait: half of seen_ must stay free, or the
    // search above would not end.
    if (list.size() == list.capacity() || met_ + 1 >= size / 2) {
      truncated_ = true;
      return;
    }
    met_++;
    pairs_++;
    seen_[slot] = item;
    seen_stamp_[slot] = stamp_;
    (void)list.push_back(item);
  };
  add(state, stack);
  // pending_ is a queue, so its length bounds the pairs met and none is lost.
  for (usize i = 0; i < pending_.size(); i++) {
    u64 item = pending_[i];
    const State& s = states[state_of(item)];
    if (s.kind == State::Kind::kSplit) {
      add(s.next, stack_of(item));
      add(s.other, stack_of(item));
    } else if (s.kind == State::Kind::kCall) {
      // A call in last place needs no return address, so lists stay short.
      u32 back = s.other;
      while (states[back].kind == State::Kind::kSplit && states[back].other == Grammar::kNone)
        back = states[back].next;
      bool last = states[back].kind == State::Kind::kReturn;
      add(grammar_.rule_start(s.next), last ? stack_of(item) : push(back, stack_of(item)));
    } else if (s.kind == State::Kind::kReturn) {
      const StackNode& top = stacks_[stack_of(item)];
      if (stack_of(item) == 0) closure_accepts_ = true;
      add(top.state, top.parent);
    }
  }
  pending_.clear();
}

GrammarState::ConfigId GrammarState::intern_closure() {
  if (found_.empty() && !closure_accepts_) return kDead;
  std::sort(found_.begin(), found_.end());
  u32 hash = closure_accepts_ ? 1 : 0;
  for (u64 item : found_) hash = mix(item + hash * u64{31});
  u32 size = static_cast<u32>(config_index_.size());
  u32 slot = hash % size;
  for (; config_index_[slot] != 0; slot = (slot + 1) % size) {
    const Config& c = configs_[config_index_[slot]];
    if (c.hash == hash && c.accepting == closure_accepts_ && c.count == found_.size() &&
        std::equal(found_.begin(), found_.end(), items_.begin() + c.first))
      return config_index_[slot];
  }
  if (configs_.size() == configs_.capacity() || found_.size() > items_.capacity() - items_.size()) {
    truncated_ = true;
    return kDead;
  }
  ConfigId id = static_cast<ConfigId>(configs_.size());
  (void)configs_.push_back({static_cast<u32>(items_.size()), static_cast<u32>(found_.size()), hash,
                            closure_accepts_, kNoMask});
  (void)items_.append(found_.view());
  config_index_[slot] = id;
  std::fill_n(transitions_.begin() + usize{id} * grammar_.class_count(), grammar_.class_count(),
              kUnknown);
  return id;
}

GrammarState::ConfigId GrammarState::compute_step(ConfigId from, u8 byte) {
  bool truncated_before = truncated_;
  truncated_ = false;
  begin_closure();
  Config config = configs_[from];
  for (u32 i = 0; i < config.count; i++) {
    u64 item = items_[config.first + i];
    const State& s = grammar_.states()[state_of(item)];
    if (byte >= s.low && byte <= s.high) close_over(s.next, stack_of(item));
  }
  ConfigId to = intern_closure();
  // A step that ran out of room is not cached: after compact() it may succeed.
  if (!truncated_)
    transitions_[usize{from} * grammar_.class_count() + grammar_.byte_class(byte)] = to;
  truncated_ |= truncated_before;
  return to;
}

inline GrammarState::ConfigId GrammarState::step(ConfigId from, u8 byte) {
  ConfigId to = transitions_[usize{from} * grammar_.class_count() + grammar_.byte_class(byte)];
  return to != kUnknown ? to : compute_step(from, byte);
}

GrammarState::ConfigId GrammarState::walk(ConfigId from, std::string_view bytes) {
  for (char c : bytes) {
    if (from == kDead) break;
    from = step(from, static_cast<u8>(c));
  }
  return from;
}

// ---- masks ----------------------------------------------------------------------------------

Result<void> GrammarState::compute_mask(ConfigId config, std::span<u64> bits, Platform& platform) {
  u64 last_pair = pairs_ + kMaskPairs, breath = kStepsPerBreath, passed = 0, first_pair = pairs_;
  std::fill(bits.begin(), bits.end(), u64{0});
  std::span<const TokenTrie::Node> nodes = grammar_.tokens().nodes();
  std::span<const TokenId> tokens = grammar_.tokens().tokens();
  ConfigId at[TokenTrie::kMaxTokenBytes + 1];
  at[0] = config;
  for (u32 i = 0; i < nodes.size();) {
    const TokenTrie::Node& node = nodes.data()[i];
    ConfigId to = step(at[node.depth], node.byte);
    if (++passed + pairs_ - first_pair >= breath) {
      if (pairs_ > last_pair)
        return fail(Errc::kInvalidArgument,
                    "the grammar can be read in too many ways here: make fewer parts optional");
      breath = passed + pairs_ - first_pair + kStepsPerBreath;
      platform.breathe();
    }
    if (to == kDead) {
      i = node.skip;
      continue;
    }
    at[node.depth + 1] = to;
    for (u32 t = 0; t < node.count; t++) {
      TokenId id = tokens[node.first + t];
      bits[id / 64] |= u64{1} << id % 64;
    }
    i++;
  }
  if (configs_[config].accepting)
    for (TokenId id : grammar_.tokens().ends()) bits[id / 64] |= u64{1} << id % 64;
  return {};
}

Result<std::span<const u64>> GrammarState::mask_of(ConfigId config, Platform& platform) {
  auto slot_bits = [&](u32 slot) {
    return std::span<u64>(masks_.view()).subspan(usize{slot} * mask_words_, mask_words_);
  };
  if (configs_[config].mask_slot != kNoMask) return slot_bits(configs_[config].mask_slot);
  u32 slot = next_slot_;
  next_slot_ = (next_slot_ + 1) % kMaskSlots;
  if (slot_owner_[slot] != kDead) configs_[slot_owner_[slot]].mask_slot = kNoMask;
  slot_owner_[slot] = kDead;
  truncated_ = false;
  TRY(compute_mask(config, slot_bits(slot), platform));
  if (!truncated_) {
    slot_owner_[slot] = config;
    configs_[config].mask_slot = static_cast<u8>(slot);
  }
  return slot_bits(slot);
}

Result<u32> GrammarState::mask(std::span<float> logits, Platform& platform) {
  if (nearly_full() && configs_[current_].mask_slot == kNoMask) compact();
  std::span<const u64> bits = TRY(mask_of(current_, platform));
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  u32 allowed = 0;
  for (usize word = 0; word < bits.size(); word++) {
    allowed += static_cast<u32>(std::popcount(bits[word]));
    if (bits[word] == ~u64{0}) continue;
    usize first = word * 64, end = std::min(logits.size(), first + 64);
    for (usize id = first; id < end; id++)
      if ((bits[word] >> (id - first) & 1) == 0) logits[id] = kNever;
  }
  // Rows beyond the vocabulary (padding of the output matrix) are no tokens.
  for (usize id = bits.size() * 64; id < logits.size(); id++) logits[id] = kNever;
  return distinct_ == nullptr ? allowed : allowed - keep_distinct(logits, bits, platform);
}

bool GrammarState::allows(TokenId token) {
  const Tokenizer& tokenizer = grammar_.tokens().tokenizer();
  if (token >= tokenizer.size()) return false;
  if (tokenizer.is_end(token)) return may_end();
  std::string_view piece = tokenizer.piece(token);
  if (piece.empty() || piece.size() > TokenTrie::kMaxTokenBytes || tokenizer.is_control(token))
    return false;
  if (nearly_full()) compact();
  if (distinct_ == nullptr) return walk(current_, piece) != kDead;
  DistinctItems::Cursor cursor = distinct_->cursor();
  return stays_distinct(piece, cursor);
}

bool GrammarState::accept(TokenId token) {
  const Tokenizer& tokenizer = grammar_.tokens().tokenizer();
  if (!allows(token)) return false;
  if (tokenizer.is_end(token)) return true;
  if (distinct_ != nullptr) {
    DistinctItems::Cursor cursor = distinct_->cursor();
    (void)stays_distinct(tokenizer.piece(token), cursor);
    distinct_->move_to(cursor);
  }
  current_ = walk(current_, tokenizer.piece(token));
  return true;
}

// ---- arrays whose items must differ -----------------------------------------------------------

// Excludes the tokens that would repeat an item, and returns how many. The rows of `bits` are those
// that the automaton allows.
u32 GrammarState::keep_distinct(std::span<float> logits, std::span<const u64> bits,
                                Platform& platform) {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  constexpr u32 kTokensPerBreath = 1024;
  const Tokenizer& tokenizer = grammar_.tokens().tokenizer();
  u32 excluded = 0, tried = 0;
  for (usize id = 0; id < std::min<usize>(logits.size(), bits.size() * 64); id++) {
    if ((bits[id / 64] >> id % 64 & 1) == 0 || tokenizer.is_end(static_cast<TokenId>(id))) continue;
    std::string_view piece = tokenizer.piece(static_cast<TokenId>(id));
    bool opens = piece.find('[') != std::string_view::npos;
    if (!distinct_->cursor().watching() && !opens) continue;
    if (++tried % kTokensPerBreath == 0) platform.breathe();
    DistinctItems::Cursor cursor = distinct_->cursor();
    if (stays_distinct(piece, cursor)) continue;
    logits[id] = kNever;
    excluded++;
  }
  return excluded;
}

// Walks over `piece`. Returns false if the grammar forbids it, if it repeats an item, or if it
// leads to an item that can only end as a repeated one.
bool GrammarState::stays_distinct(std::string_view piece, DistinctItems::Cursor& cursor) {
  ConfigId at = current_;
  for (char c : piece) {
    bool opens = c == '[' && !cursor.in_string() && takes_distinct(at);
    at = step(at, static_cast<u8>(c));
    if (at == kDead || !cursor.step(static_cast<u8>(c), opens, *distinct_)) return false;
  }
  return !cursor.repeats(*distinct_) || goes_on(at, cursor.in_string());
}

bool GrammarState::takes_distinct(ConfigId config) const {
  const Config& c = configs_[config];
  for (u32 i = 0; i < c.count; i++)
    if (state_of(items_[c.first + i]) == grammar_.distinct_state()) return true;
  return false;
}

// Can the string or number that is being written become longer?
bool GrammarState::goes_on(ConfigId config, bool in_string) const {
  const Config& c = configs_[config];
  for (u32 i = 0; i < c.count; i++) {
    const State& s = grammar_.states()[state_of(items_[c.first + i])];
    if (in_string && (s.low != '"' || s.high != '"')) return true;
    constexpr std::string_view kOfNumbers = "0123456789.eE";
    for (char byte : kOfNumbers)
      if (!in_string && static_cast<u8>(byte) >= s.low && static_cast<u8>(byte) <= s.high)
        return true;
  }
  return false;
}

bool GrammarState::may_end() const {
  return configs_[current_].accepting;
}

bool GrammarState::finished() const {
  return configs_[current_].accepting && configs_[current_].count == 0;
}

}  // namespace ai
