// SPDX-License-Identifier: GPL-2.0-or-later
// Sets of texts as deterministic automata over code points: what a pattern, a format, a length or
// a bound of a number allows, and what several of them allow together.
//
// Every operation pays for its steps from a Work, so a client's schema costs a bounded time and,
// because each state and edge is paid for, bounded memory. For threads; nothing here yields.
#pragma once

#include <string_view>

#include "kernel/base/containers.h"

namespace ai {

constexpr u32 kLastChar = 0x10ffff;

// Inclusive code points.
struct CharRange {
  u32 low, high;
};

// The steps that compiling one schema may still take; one is about ten nanoseconds.
class Work {
 public:
  explicit Work(u64 steps) : left_(steps) {}
  Result<void> spend(u64 steps) {
    if (steps > left_) return fail(Errc::kInvalidArgument, kTooMuch);
    left_ -= steps;
    return {};
  }
  static constexpr const char* kTooMuch = "patterns, lengths and bounds are too much work together";

 private:
  u64 left_;
};

Result<void> add_range(Vector<CharRange>& ranges, u32 low, u32 high);
// Sorts the ranges and merges those that touch.
void normalize(Vector<CharRange>& ranges);
// Returns the code points that are in none of the ranges, which are normalized.
Result<Vector<CharRange>> inverted(const Vector<CharRange>& ranges);

class TextAutomaton {
 public:
  struct Edge {
    u32 low, high, to;
  };
  // Its edges are sorted by `low` and do not overlap. A character without an edge leads nowhere.
  struct Node {
    u32 first = 0, count = 0;
    bool accepts = false;
  };
  static constexpr u32 kMaxNodes = 64 * 1024;
  static constexpr u32 kNoLimit = ~u32{0};

  struct Lengths {
    u32 least, most;  // kNoLimit if there is no longest text
  };

  static Result<TextAutomaton> everything();
  // Texts of least to most characters; `most` may be kNoLimit.
  static Result<TextAutomaton> of_length(u32 least, u32 most, Work& work);
  // Exactly these texts, which are UTF-8.
  static Result<TextAutomaton> of_words(std::span<const std::string_view> words, Work& work);
  static Result<TextAutomaton> both(const TextAutomaton& a, const TextAutomaton& b, Work& work);
  Result<TextAutomaton> complement(Work& work) const;
  Result<TextAutomaton> clone() const;

  // Node 0 is the start. A builder adds a node, then all its edges in order, then the next node.
  Result<u32> add_node(bool accepts, Work& work);
  Result<void> add_edge(u32 low, u32 high, u32 to, Work& work);
  // Removes the nodes from which no text ends. Call it after building.
  Result<void> trim();
  // Merges nodes that accept the same texts.
  Result<void> minimize(Work& work);

  std::span<const Node> nodes() const { return nodes_.view(); }
  std::span<const Edge> edges(const Node& node) const {
    return edges_.view().subspan(node.first, node.count);
  }
  // The following need a trimmed automaton.
  bool empty() const { return !nodes_[0].accepts && nodes_[0].count == 0; }
  Result<Lengths> lengths() const;
  bool accepts(std::string_view text) const;

 private:
  Vector<Node> nodes_;
  Vector<Edge> edges_;
};

// Compiles a regular expression of ECMA-262 to the texts in which it is found. `wide` is for a
// pattern whose texts are then excluded: where readers disagree (white space, line ends), the set
// is the larger one instead of the smaller one. The error names the construct that is not
// supported. With `within`, only texts of that set are kept, which takes less work than
// intersecting afterwards.
Result<TextAutomaton> regex_automaton(std::string_view pattern, bool wide, Work& work,
                                      const TextAutomaton* within = nullptr);

}  // namespace ai
