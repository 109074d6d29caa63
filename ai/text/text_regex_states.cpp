// SPDX-License-Identifier: GPL-2.0-or-later
// Makes the parts of a regular expression deterministic: the subset construction.
#include <algorithm>

#include "ai/text/text_regex.h"

namespace ai {

// Returns the number of a list of running look-aheads. Those that take any text from here on are
// done.
Result<u32> RegexCompiler::list_of(Vector<u32>& running) {
  std::sort(running.begin(), running.end());
  running.truncate(
      static_cast<usize>(std::unique(running.begin(), running.end()) - running.begin()));
  usize kept = 0;
  for (u32 one : running) {
    const TextAutomaton& texts = looked_[running_.first(one)];
    const TextAutomaton::Node& node = texts.nodes()[running_.second(one)];
    std::span<const TextAutomaton::Edge> edges = texts.edges(node);
    bool done = node.accepts && edges.size() == 1 && edges[0].low == 0 &&
                edges[0].high == kLastChar && edges[0].to == running_.second(one);
    if (!done) running[kept++] = one;
  }
  running.truncate(kept);
  std::string_view bytes{reinterpret_cast<const char*>(running.data()), kept * sizeof(u32)};
  u32 number = TRY(list_names_.add(bytes));
  if (number == lists_.size()) TRY(lists_.push_back(std::move(running)));
  return number;
}

bool RegexCompiler::all_accept(u32 list) const {
  for (u32 one : lists_[list]) {
    const TextAutomaton& texts = looked_[running_.first(one)];
    if (!texts.nodes()[running_.second(one)].accepts) return false;
  }
  return true;
}

// Moves all running look-aheads by one character. Returns false if one of them fails.
Result<bool> RegexCompiler::step_list(u32 list, u32 c, u32& out) {
  if (lists_[list].empty()) {
    out = list;
    return true;
  }
  Vector<u32> next;
  TRY(work_.spend(lists_[list].size() * 40));
  for (u32 one : lists_[list]) {
    u32 which = running_.first(one);
    const TextAutomaton& texts = looked_[which];
    bool found = false;
    for (const TextAutomaton::Edge& edge : texts.edges(texts.nodes()[running_.second(one)])) {
      if (c < edge.low || c > edge.high) continue;
      TRY(next.push_back(TRY(running_.add(which, edge.to))));
      found = true;
    }
    if (!found) return false;
  }
  out = TRY(list_of(next));
  return true;
}

// Adds a thread to the work of close() and notes what it reached.
Result<void> RegexCompiler::pass(u32 part, u32 list, bool end) {
  if (part == kNone) return {};
  u32 thread = TRY(threads_.add(part, list));
  if (thread >= stamps_.size()) TRY(stamps_.resize(usize{thread} + 1));
  if (stamps_[thread] == stamp_) return {};
  stamps_[thread] = stamp_;
  TRY(work_.spend(4));
  free_ |= part == tail_ && lists_[list].empty();
  accepted_ |= end && parts_[part].kind == Part::Kind::kAccept && all_accept(list);
  return todo_.push_back(thread);
}

// Adds the threads that are reached without a character and wait for one, or for the end.
Result<void> RegexCompiler::close(u32 part, u32 list, bool begin, bool end, Vector<u32>& out) {
  TRY(pass(part, list, end));
  while (!todo_.empty()) {
    u32 thread = todo_.back();
    todo_.pop_back();
    u32 at = threads_.first(thread), running = threads_.second(thread);
    const Part p = parts_[at];
    bool passes = p.kind == Part::Kind::kSplit || (p.kind == Part::Kind::kBegin && begin) ||
                  (p.kind == Part::Kind::kEnd && end);
    if (p.kind == Part::Kind::kLook) {
      Vector<u32> more = TRY(lists_[running].clone());
      TRY(more.push_back(TRY(running_.add(p.first + (begin ? 1 : 0), 0))));
      TRY(pass(p.next, TRY(list_of(more)), end));
    } else if (passes) {
      TRY(pass(p.next, running, end));
      TRY(pass(p.other, running, end));
    } else if (p.kind != Part::Kind::kBegin) {
      TRY(out.push_back(thread));
    }
  }
  return {};
}

// Returns the number of a set of threads. A set that reached the tail with nothing running takes
// any text, so all such sets are one, which is empty. A set of no threads takes nothing: kNone.
Result<u32> RegexCompiler::number_of(Vector<u32>& set) {
  if (free_)
    set.clear();
  else if (set.empty())
    return kNone;
  std::sort(set.begin(), set.end());
  std::string_view bytes{reinterpret_cast<const char*>(set.data()), set.size() * sizeof(u32)};
  u32 number = TRY(set_names_.add(bytes));
  if (number == sets_.size()) TRY(sets_.push_back(std::move(set)));
  return number;
}

Result<TextAutomaton> RegexCompiler::determine(u32 start, bool begin) {
  Vector<u32> running, first;
  // It runs beside the whole pattern like a look-ahead at the start.
  if (within_) TRY(running.push_back(TRY(running_.add(0, 0))));
  u32 list = TRY(list_of(running));
  stamp_ = 1;
  TRY(close(start, list, begin, false, first));
  TextAutomaton made;
  if (TRY(number_of(first)) == kNone) TRY(made.add_node(false, work_));
  for (u32 i = 0; i < sets_.size(); i++) {
    Vector<u32> set = TRY(sets_[i].clone()), ends;
    bool any = set.empty();
    // Does the text end well here?
    stamp_++;
    accepted_ = false;
    for (u32 thread : set)
      TRY(close(threads_.first(thread), threads_.second(thread), false, true, ends));
    TRY(made.add_node(any || accepted_, work_));
    if (any)
      TRY(made.add_edge(0, kLastChar, i, work_));
    else
      TRY(edges_of(set, made));
  }
  TRY(made.trim());
  return made;
}

// Collects the first characters of the pieces in which all ranges agree.
Result<void> RegexCompiler::borders_of(const Vector<u32>& set, Vector<u32>& out) const {
  for (u32 thread : set) {
    const Part& p = parts_[threads_.first(thread)];
    for (u32 r = p.first; p.kind == Part::Kind::kChars && r < p.first + p.count; r++) {
      TRY(out.push_back(ranges_[r].low));
      TRY(out.push_back(ranges_[r].high + 1));
    }
    for (u32 one : lists_[threads_.second(thread)]) {
      const TextAutomaton& texts = looked_[running_.first(one)];
      for (const TextAutomaton::Edge& edge : texts.edges(texts.nodes()[running_.second(one)])) {
        TRY(out.push_back(edge.low));
        TRY(out.push_back(edge.high + 1));
      }
    }
  }
  std::sort(out.begin(), out.end());
  out.truncate(static_cast<usize>(std::unique(out.begin(), out.end()) - out.begin()));
  return {};
}

Result<void> RegexCompiler::edges_of(const Vector<u32>& set, TextAutomaton& made) {
  Vector<u32> borders;
  TRY(borders_of(set, borders));
  for (usize b = 0; b + 1 < borders.size(); b++) {
    Vector<u32> next;
    stamp_++;
    free_ = false;
    TRY(work_.spend(set.size() + 1));
    u32 stepped = kNone, list = 0;  // the last list that was stepped; most threads share one
    bool goes_on = false;
    for (u32 thread : set) {
      const Part p = parts_[threads_.first(thread)];
      if (p.kind != Part::Kind::kChars) continue;
      auto ranges = std::span<const CharRange>(ranges_.view()).subspan(p.first, p.count);
      auto after = std::upper_bound(ranges.begin(), ranges.end(), borders[b],
                                    [](u32 c, const CharRange& r) { return c < r.low; });
      if (after == ranges.begin() || borders[b] > (after - 1)->high) continue;
      if (threads_.second(thread) != stepped) {
        stepped = threads_.second(thread);
        goes_on = TRY(step_list(stepped, borders[b], list));
      }
      if (goes_on) TRY(close(p.next, list, false, false, next));
    }
    u32 to = TRY(number_of(next));
    if (to != kNone) TRY(made.add_edge(borders[b], borders[b + 1] - 1, to, work_));
  }
  return {};
}

}  // namespace ai
