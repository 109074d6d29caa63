// SPDX-License-Identifier: GPL-2.0-or-later
// The scheduler of the explorer: it runs the fibers step by step, remembers every decision, and
// goes back to the last one that has an untried alternative until none is left.
//
// Orders that only exchange steps which commute are tried once (sleep sets: Godefroid, 1996).
#include <algorithm>

#include "tests/weak/model.h"

namespace weak {
namespace {

constexpr usize kStackBytes = 256 << 10;
constexpr usize kMostSteps = 5000;

}  // namespace

Outcome Machine::explore(const Options& options, std::vector<std::function<void()>> threads) {
  options_ = options;
  bodies_ = std::move(threads);
  path_.clear();
  failure_.clear();
  Outcome outcome;
  if (fibers_.empty()) fibers_.resize(kMostThreads);
  do {
    run_once();
    if (!redundant_) outcome.runs++;
    if (!failure_.empty()) break;
    if (outcome.runs == options.most_runs) {
      outcome.complete = false;
      break;
    }
  } while (next_run());
  outcome.failure = failure_;
  return outcome;
}

// Goes back to the last decision with an untried alternative. Returns false if there is none.
bool Machine::next_run() {
  while (!path_.empty()) {
    Decision& last = path_.back();
    if (last.of_thread) last.asleep.push_back(last.choices[last.chosen]);
    if (++last.chosen < last.choices.size()) return true;
    path_.pop_back();
  }
  return false;
}

void Machine::run_once() {
  depth_ = 0;
  others_ = over_ = redundant_ = false;
  last_ = kNobody;
  switches_ = 0;
  words_.clear();
  word_at_.clear();
  plain_.clear();
  racy_.clear();
  asleep_.clear();
  trace_.clear();
  for (Fiber& f : fibers_) {
    std::vector<Byte> stack = std::move(f.stack);
    f = Fiber{};
    f.stack = std::move(stack);
    f.ended = true;
    f.may_stay = true;
  }
  for (u32 i = 0; i < bodies_.size(); i++) {
    start(bodies_[i], false);
    if (i > 0) fibers_[i].can_go = [this] { return others_; };
  }
  while (go_on()) {
  }
  running_ = kNobody;
  put_back();
}

u32 Machine::start(std::function<void()> body, bool may_stay) {
  u32 index = 0;
  while (index < kMostThreads && !(fibers_[index].ended && !fibers_[index].body)) index++;
  if (index == kMostThreads) {
    fail("too many threads");
    return 0;
  }
  Fiber& f = fibers_[index];
  f.body = std::move(body);
  f.ended = false;
  f.may_stay = may_stay;
  f.stack.resize(kStackBytes);
  getcontext(&f.context);
  f.context.uc_stack.ss_sp = f.stack.data();
  f.context.uc_stack.ss_size = f.stack.size();
  f.context.uc_link = &scheduler_;
  makecontext(&f.context, &Machine::enter, 0);
  return index;
}

void Machine::enter() {
  Fiber& me = machine.self();
  machine.inside = false;
  me.body();
  machine.inside = true;
  machine.publish_racy();
  me.ended = true;
  machine.leave();
}

void Machine::leave() {
  // No call returns here.
  swapcontext(&self().context, &scheduler_);
  std::abort();
}

// Lets one thread make its next step. Returns false when the run is over.
bool Machine::go_on() {
  if (over_) return false;
  std::vector<u32> able;
  bool all_ended = true;
  for (u32 i = 0; i < kMostThreads; i++) {
    Fiber& f = fibers_[i];
    all_ended &= f.ended || f.may_stay;
    if (!f.ended && (!f.can_go || f.can_go())) able.push_back(i);
  }
  if (all_ended) return false;
  if (able.empty()) {
    fail("nobody can go on: a wake was lost");
    return false;
  }
  u32 next = choose_thread(able);
  if (redundant_) return false;
  running_ = next;
  Fiber& f = fibers_[next];
  f.can_go = {};
  note(f.next.what);
  if (trace_.size() > kMostSteps) {
    fail("a run without an end");
    return false;
  }
  swapcontext(&scheduler_, &f.context);
  running_ = kNobody;
  return true;
}

u32 Machine::choose_thread(const std::vector<u32>& able) {
  if (depth_ == path_.size()) {
    Decision fresh;
    fresh.of_thread = true;
    bool bounded = options_.most_switches != ~u32{0};
    bool may_go_on = std::ranges::find(able, last_) != able.end();
    if (bounded && may_go_on) fresh.choices.push_back(last_);
    if (!bounded) fresh.asleep = asleep_;
    for (u32 t : able) {
      bool left_out = bounded ? may_go_on && (t == last_ || switches_ == options_.most_switches)
                              : std::ranges::find(asleep_, t) != asleep_.end();
      if (!left_out) fresh.choices.push_back(t);
    }
    if (fresh.choices.empty()) {  // every order from here on was tried before
      redundant_ = true;
      return 0;
    }
    path_.push_back(std::move(fresh));
  }
  const Decision& d = path_[depth_++];
  u32 next = d.choices[d.chosen];
  if (next != last_ && std::ranges::find(able, last_) != able.end()) switches_++;
  last_ = next;
  asleep_.clear();
  for (u32 t : d.asleep)
    if (fibers_[t].next.commutes_with(fibers_[next].next)) asleep_.push_back(t);
  return next;
}

u32 Machine::choose(u32 count) {
  if (count == 1) return 0;
  if (depth_ == path_.size()) {
    Decision fresh;
    for (u32 i = 0; i < count; i++) fresh.choices.push_back(i);
    path_.push_back(std::move(fresh));
  }
  const Decision& d = path_[depth_++];
  return d.choices[d.chosen];
}

// The calling fiber is about to make `next`. It continues when the scheduler picks it.
void Machine::step(const Step& next, std::function<bool()> can_go) {
  publish_racy();
  Fiber& me = self();
  me.spins = false;
  me.next = next;
  me.can_go = std::move(can_go);
  swapcontext(&me.context, &scheduler_);
}

void Machine::note(const std::string& text) {
  trace_.push_back("thread " + std::to_string(running_) + ": " + text);
}

void Machine::fail(const std::string& what) {
  over_ = true;
  if (!failure_.empty()) return;
  failure_ = what;
  for (const std::string& line : trace_) failure_ += "\n#   " + line;
  if (running_ != kNobody && !self().ended) leave();
}

void Machine::check(bool holds, const char* what) {
  if (!holds) fail(what);
}

bool Machine::wait_while_equal(const volatile void* address, const Value& value, u64 deadline) {
  Fiber& me = self();
  if (me.clock >= deadline) return false;
  step({address, false, "wait for a change"});
  word_of(address, sizeof(u32));
  u32 index = word_at_.at(address);
  std::vector<u32> changed;
  for (u32 m = me.now.at(index); m < words_[index].messages.size(); m++)
    if (words_[index].messages[m].value != value) changed.push_back(m);
  u32 chosen = choose(static_cast<u32>(changed.size()) + 1);
  if (chosen == changed.size()) {
    note("  ... until the deadline");
    me.clock = deadline;
    return false;
  }
  read_message(index, changed[chosen], Order::kRelaxed);
  return true;
}

void Machine::wait_for_interrupt() {
  Fiber& me = self();
  step({&me.interrupted, true, "wait for an interrupt"}, [&me] { return me.interrupted; });
  me.interrupted = false;
}

void Machine::wake(u32 thread) {
  Fiber& other = fibers_[thread];
  step({&other.interrupted, true, "wake"});
  other.interrupted = true;
}

// A started CPU sees everything that its starter has done, because the starter writes its caches
// back.
u32 Machine::add_cpu(std::function<void()> body) {
  u32 index = start(std::move(body), true);
  self().now.clock[running_]++;
  fibers_[index].now = self().now;
  return index;
}

void Machine::start_others() {
  publish_racy();
  others_ = true;
  self().now.clock[running_]++;
  for (u32 i = 0; i < kMostThreads; i++)
    if (i != running_) fibers_[i].now.join(self().now);
}

}  // namespace weak
