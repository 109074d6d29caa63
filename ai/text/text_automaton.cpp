// SPDX-License-Identifier: GPL-2.0-or-later
// Operations on sets of texts: products, complements, and the removal of useless states.
#include "ai/text/text_automaton.h"

#include <algorithm>

#include "ai/text/name_index.h"
#include "ai/text/pair_index.h"
#include "kernel/base/utf8.h"

namespace ai {
namespace {

constexpr u32 kMaxRounds = 20;

}  // namespace

Result<void> add_range(Vector<CharRange>& ranges, u32 low, u32 high) {
  return ranges.push_back({low, high});
}

void normalize(Vector<CharRange>& ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const CharRange& a, const CharRange& b) { return a.low < b.low; });
  usize kept = 0;
  for (const CharRange& r : ranges) {
    if (kept > 0 && r.low <= ranges[kept - 1].high + 1)
      ranges[kept - 1].high = std::max(ranges[kept - 1].high, r.high);
    else
      ranges[kept++] = r;
  }
  ranges.truncate(kept);
}

Result<Vector<CharRange>> inverted(const Vector<CharRange>& ranges) {
  Vector<CharRange> out;
  u32 next = 0;
  for (const CharRange& r : ranges) {
    if (r.low > next) TRY(out.push_back({next, r.low - 1}));
    next = r.high + 1;
  }
  if (next <= kLastChar) TRY(out.push_back({next, kLastChar}));
  return out;
}

Result<u32> TextAutomaton::add_node(bool accepts, Work& work) {
  TRY(work.spend(4));
  if (nodes_.size() == kMaxNodes) return fail(Errc::kInvalidArgument, Work::kTooMuch);
  TRY(nodes_.push_back({static_cast<u32>(edges_.size()), 0, accepts}));
  return static_cast<u32>(nodes_.size() - 1);
}

Result<void> TextAutomaton::add_edge(u32 low, u32 high, u32 to, Work& work) {
  Node& node = nodes_.back();
  if (node.count > 0 && edges_.back().to == to && edges_.back().high + 1 == low) {
    edges_.back().high = high;
    return {};
  }
  TRY(work.spend(1));
  node.count++;
  return edges_.push_back({low, high, to});
}

Result<TextAutomaton> TextAutomaton::everything() {
  TextAutomaton made;
  TRY(made.nodes_.push_back({0, 1, true}));
  TRY(made.edges_.push_back({0, kLastChar, 0}));
  return made;
}

Result<TextAutomaton> TextAutomaton::of_length(u32 least, u32 most, Work& work) {
  TextAutomaton made;
  u32 last = most == kNoLimit ? least : most;
  for (u32 i = 0; i <= last; i++) {
    TRY(made.add_node(i >= least, work));
    if (i < last) TRY(made.add_edge(0, kLastChar, i + 1, work));
    if (i == last && most == kNoLimit) TRY(made.add_edge(0, kLastChar, i, work));
  }
  return made;
}

// A node is a run of the sorted words that share their first `depth` bytes.
Result<TextAutomaton> TextAutomaton::of_words(std::span<const std::string_view> words, Work& work) {
  struct Run {
    usize first, end, depth;
  };
  Vector<std::string_view> sorted;
  TRY(sorted.append(words));
  std::sort(sorted.begin(), sorted.end());
  TextAutomaton made;
  Vector<Run> runs;
  TRY(runs.push_back({0, sorted.size(), 0}));
  for (usize i = 0; i < runs.size(); i++) {
    Run run = runs[i];
    usize at = run.first;
    while (at < run.end && sorted[at].size() == run.depth) at++;
    TRY(made.add_node(at > run.first, work));
    // Bytes of UTF-8 sort like their code points.
    for (usize end = at; at < run.end; at = end) {
      utf8::Decoded d = utf8::decode(sorted[at].substr(run.depth));
      std::string_view head = sorted[at].substr(run.depth, d.bytes);
      while (end < run.end && sorted[end].substr(run.depth).starts_with(head)) end++;
      TRY(made.add_edge(d.code_point, d.code_point, static_cast<u32>(runs.size()), work));
      // add_edge() merges only edges to one node, and this one is new.
      TRY(runs.push_back({at, end, run.depth + d.bytes}));
    }
  }
  return made;
}

Result<TextAutomaton> TextAutomaton::both(const TextAutomaton& a, const TextAutomaton& b,
                                          Work& work) {
  TextAutomaton made;
  PairIndex pairs;
  TRY(pairs.add(0, 0));
  for (u32 i = 0; i < pairs.size(); i++) {
    const Node &left = a.nodes_[pairs.first(i)], &right = b.nodes_[pairs.second(i)];
    TRY(made.add_node(left.accepts && right.accepts, work));
    std::span<const Edge> l = a.edges(left), r = b.edges(right);
    for (usize x = 0, y = 0; x < l.size() && y < r.size();) {
      u32 low = std::max(l[x].low, r[y].low), high = std::min(l[x].high, r[y].high);
      if (low <= high) TRY(made.add_edge(low, high, TRY(pairs.add(l[x].to, r[y].to)), work));
      TRY(work.spend(1));
      if (l[x].high < r[y].high)
        x++;
      else
        y++;
    }
  }
  TRY(made.trim());
  return made;
}

Result<TextAutomaton> TextAutomaton::complement(Work& work) const {
  TextAutomaton made;
  u32 rest = static_cast<u32>(nodes_.size());
  for (const Node& node : nodes_) {
    TRY(made.add_node(!node.accepts, work));
    u32 next = 0;
    for (const Edge& edge : edges(node)) {
      if (edge.low > next) TRY(made.add_edge(next, edge.low - 1, rest, work));
      TRY(made.add_edge(edge.low, edge.high, edge.to, work));
      next = edge.high + 1;
    }
    if (next <= kLastChar) TRY(made.add_edge(next, kLastChar, rest, work));
  }
  TRY(made.add_node(true, work));
  TRY(made.add_edge(0, kLastChar, rest, work));
  TRY(made.trim());
  return made;
}

Result<TextAutomaton> TextAutomaton::clone() const {
  TextAutomaton copy;
  copy.nodes_ = TRY(nodes_.clone());
  copy.edges_ = TRY(edges_.clone());
  return copy;
}

Result<void> TextAutomaton::trim() {
  usize count = nodes_.size();
  Vector<u32> from_at, from, number, todo;
  TRY(from_at.resize(count + 1));
  TRY(from.resize(edges_.size()));
  TRY(number.resize(count));  // first 1 for nodes that stay, then their new number
  for (const Edge& edge : edges_) from_at[edge.to + 1]++;
  for (usize i = 0; i < count; i++) from_at[i + 1] += from_at[i];
  Vector<u32> fill = TRY(from_at.clone());
  for (u32 i = 0; i < count; i++) {
    for (const Edge& edge : edges(nodes_[i])) from[fill[edge.to]++] = i;
    if (!nodes_[i].accepts) continue;
    number[i] = 1;
    TRY(todo.push_back(i));
  }
  while (!todo.empty()) {
    u32 node = todo.back();
    todo.pop_back();
    for (u32 e = from_at[node]; e < from_at[node + 1]; e++) {
      if (number[from[e]] == 1) continue;
      number[from[e]] = 1;
      TRY(todo.push_back(from[e]));
    }
  }
  number[0] = 1;
  Vector<u32> kept;
  for (u32 i = 0; i < count; i++)
    if (number[i] == 1) TRY(kept.push_back(i));
  constexpr u32 kGone = ~u32{0};
  for (u32& n : number) n = kGone;
  for (u32 i = 0; i < kept.size(); i++) number[kept[i]] = i;
  usize edge_end = 0;
  for (u32 i = 0; i < kept.size(); i++) {
    Node node = nodes_[kept[i]];
    Node moved{static_cast<u32>(edge_end), 0, node.accepts};
    for (u32 e = node.first; e < node.first + node.count; e++) {
      Edge edge = edges_[e];
      if (number[edge.to] == kGone) continue;
      edges_[edge_end++] = {edge.low, edge.high, number[edge.to]};
      moved.count++;
    }
    nodes_[i] = moved;
  }
  nodes_.truncate(kept.size());
  edges_.truncate(edge_end);
  return {};
}

// Splits classes of nodes until all nodes of a class have edges to the same classes (Moore). Gives
// up after some rounds: what needs more is a long chain, of which little can be merged.
Result<void> TextAutomaton::minimize(Work& work) {
  Vector<u32> of;  // class of each node
  TRY(of.resize(nodes_.size()));
  for (usize i = 0; i < nodes_.size(); i++) of[i] = nodes_[i].accepts;
  u32 rounds = 0;
  for (u32 classes = 1;; rounds++) {
    if (rounds == kMaxRounds) return {};
    // One text per node: its class, and its edges with the classes they lead to.
    Vector<Vector<u32>> texts;
    NameIndex known;
    Vector<u32> next;
    for (usize i = 0; i < nodes_.size(); i++) {
      TRY(work.spend(4 + nodes_[i].count));
      Vector<u32> text;
      TRY(text.push_back(of[i]));
      for (const Edge& edge : edges(nodes_[i])) {
        bool joins =
            text.size() > 1 && text.back() == of[edge.to] && text[text.size() - 2] + 1 == edge.low;
        if (joins) {
          text[text.size() - 2] = edge.high;
          continue;
        }
        for (u32 part : {edge.low, edge.high, of[edge.to]}) TRY(text.push_back(part));
      }
      std::string_view bytes{reinterpret_cast<const char*>(text.data()), text.size() * sizeof(u32)};
      TRY(next.push_back(TRY(known.add(bytes))));
      TRY(texts.push_back(std::move(text)));
    }
    bool stable = known.size() == classes;
    classes = known.size();
    of = std::move(next);
    if (stable) break;
  }
  // Classes are numbered in the order of their first nodes, so node 0 stays the start.
  TextAutomaton made;
  Vector<bool> done;
  TRY(done.resize(nodes_.size()));
  for (usize i = 0; i < nodes_.size(); i++) {
    if (done[of[i]]) continue;
    done[of[i]] = true;
    TRY(made.add_node(nodes_[i].accepts, work));
    for (const Edge& edge : edges(nodes_[i]))
      TRY(made.add_edge(edge.low, edge.high, of[edge.to], work));
  }
  *this = std::move(made);
  return {};
}

Result<TextAutomaton::Lengths> TextAutomaton::lengths() const {
  usize count = nodes_.size();
  Vector<u32> near, far, open, todo;
  TRY(near.resize(count));
  TRY(far.resize(count));
  TRY(open.resize(count));
  for (const Edge& edge : edges_) open[edge.to]++;
  for (u32& n : near) n = kNoLimit;
  // The shortest text: breadth first. Every node can be reached and leads to an end.
  Lengths all{kNoLimit, 0};
  near[0] = 0;
  TRY(todo.push_back(0));
  for (usize i = 0; i < todo.size(); i++) {
    const Node& node = nodes_[todo[i]];
    if (node.accepts) all.least = std::min(all.least, near[todo[i]]);
    for (const Edge& edge : edges(node)) {
      if (near[edge.to] != kNoLimit) continue;
      near[edge.to] = near[todo[i]] + 1;
      TRY(todo.push_back(edge.to));
    }
  }
  // The longest: in topological order, which a circle does not have.
  todo.clear();
  if (open[0] == 0) TRY(todo.push_back(0));
  for (usize i = 0; i < todo.size(); i++) {
    const Node& node = nodes_[todo[i]];
    if (node.accepts) all.most = std::max(all.most, far[todo[i]]);
    for (const Edge& edge : edges(node)) {
      far[edge.to] = std::max(far[edge.to], far[todo[i]] + 1);
      if (--open[edge.to] == 0) TRY(todo.push_back(edge.to));
    }
  }
  if (todo.size() < count) all.most = kNoLimit;
  return all;
}

bool TextAutomaton::accepts(std::string_view text) const {
  u32 at = 0;
  while (!text.empty()) {
    utf8::Decoded d = utf8::decode(text);
    text.remove_prefix(d.bytes);
    std::span<const Edge> list = edges(nodes_[at]);
    auto found = std::find_if(list.begin(), list.end(), [&](const Edge& edge) {
      return d.code_point >= edge.low && d.code_point <= edge.high;
    });
    if (found == list.end()) return false;
    at = found->to;
  }
  return nodes_[at].accepts;
}

}  // namespace ai
