// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the cooperative scheduler of CPU 0: a run queue, a list of sleepers ordered by
// deadline, and an idle loop that runs in whichever thread finds nothing runnable.
#include "kernel/sched/thread.h"

#include "kernel/arch_contract.h"
#include "kernel/log.h"
#include "kernel/mm/memory.h"
#include "kernel/sched/context.h"
#include "kernel/sync/lock.h"
#include "kernel/time/clock.h"

namespace sched {

enum class State : u8 { kRunnable, kRunning, kWaiting, kSleeping, kDead };

class Thread {
 public:
  char name[24] = {};
  usize name_size = 0;
  State state = State::kRunnable;
  bool timed_out = false;
  arch::Context context{};
  void (*entry)(void*) = nullptr;
  void* argument = nullptr;
  std::span<Byte> stack;  // its first page is the guard; empty for "main"

  Thread* next = nullptr;      // next thread in the run queue or in a wait queue
  WaitQueue* queue = nullptr;  // the queue it waits in
  u64 deadline_ns = 0;
  bool in_sleepers = false;
  Thread* next_sleeper = nullptr;
  Thread* next_thread = nullptr;  // links the list of all threads

  u64 run_ns = 0;  // time it has had the CPU
  u64 switches = 0;
};

namespace {

constexpr u64 kNever = ~u64{0};
constexpr Byte kStackPaint = 0xa5;  // fills a new stack; bytes that still have it were never used

}  // namespace

// Everything here runs on CPU 0. Interrupt handlers call only wake_*, so lists are changed with
// interrupts off.
class Scheduler {
 public:
  void init();
  Result<Thread*> spawn(std::string_view name, void (*entry)(void*), void* argument,
                        usize stack_bytes);
  void yield();
  bool wait(WaitQueue& queue, u64 deadline_ns);
  void sleep_until(u64 deadline_ns);
  void wake(WaitQueue& queue, bool all);
  void list(base::Writer& out) const;
  const Thread* first() const { return all_; }
  Thread* current() const { return current_; }
  bool in_thread() const { return current_ != nullptr && current_->state == State::kRunning; }
  bool others_runnable();

  std::atomic<u64> heartbeat{0};
  std::atomic<bool> idle{false};

 private:
  static void first_step(void* thread);
  void enqueue(Thread* thread);
  void add_sleeper(Thread* thread);
  void remove_sleeper(Thread* thread);
  void leave_queue(Thread* thread);
  void make_runnable(Thread* thread);
  void wake_expired();
  Thread* pick();
  void switch_away();
  void reap();
  [[noreturn]] void finish();

  Thread main_;
  Thread* current_ = nullptr;
  Thread* first_runnable_ = nullptr;
  Thread* last_runnable_ = nullptr;
  Thread* first_sleeper_ = nullptr;
  Thread* all_ = nullptr;
  // a thread cannot free the stack it runs on, so the next thread to run frees it
  Thread* dead_ = nullptr;
  u64 slice_start_ns_ = 0;
};

namespace {
constinit Scheduler scheduler;

void set_name(Thread& thread, std::string_view name) {
  thread.name_size = std::min(name.size(), sizeof thread.name);
  std::memcpy(thread.name, name.data(), thread.name_size);
}

// Returns how much of a stack was ever used, judged by the paint that is left.
usize stack_high_water(const Thread& thread) {
  auto usable = thread.stack.subspan(mm::kPageBytes);
  usize clean = 0;
  while (clean < usable.size() && usable[clean] == kStackPaint) clean++;
  return usable.size() - clean;
}
}  // namespace

void Scheduler::init() {
  set_name(main_, "main");
  main_.state = State::kRunning;
  current_ = all_ = &main_;
  slice_start_ns_ = timing::now_ns();
}

Result<Thread*> Scheduler::spawn(std::string_view name, void (*entry)(void*), void* argument,
                                 usize stack_bytes) {
  stack_bytes = std::max<usize>(stack_bytes, arch::Cpu::kMinimumStackBytes);
  auto thread = TRY(base::make<Thread>());
  auto stack = TRY(mm::allocate_pages(
      {.bytes = stack_bytes + mm::kPageBytes, .purpose = mm::Purpose::kStacks, .zeroed = false}));
  auto guarded = arch::Cpu::guard_page(stack.data());
  if (!guarded.has_value()) {
    mm::free_pages(stack);
    return std::unexpected(guarded.error());
  }
  auto usable = stack.subspan(mm::kPageBytes);
  std::memset(usable.data(), kStackPaint, usable.size());
  set_name(*thread, name);
  thread->entry = entry;
  thread->argument = argument;
  thread->stack = stack;
  u64 top = reinterpret_cast<u64>(stack.data() + stack.size());
  arch::Cpu::init_context(thread->context, top, first_step, thread.get());

  locks::InterruptsOff off;
  thread->next_thread = all_;
  all_ = thread.get();
  enqueue(thread.get());
  return thread.release();
}

void Scheduler::first_step(void* argument) {
  scheduler.reap();
  auto* thread = static_cast<Thread*>(argument);
  arch::Cpu::restore_interrupts(true);
  thread->entry(thread->argument);
  scheduler.finish();
}

void Scheduler::enqueue(Thread* thread) {
  thread->state = State::kRunnable;
  thread->next = nullptr;
  (first_runnable_ == nullptr ? first_runnable_ : last_runnable_->next) = thread;
  last_runnable_ = thread;
}

void Scheduler::add_sleeper(Thread* thread) {
  Thread** at = &first_sleeper_;
  while (*at != nullptr && (*at)->deadline_ns <= thread->deadline_ns) at = &(*at)->next_sleeper;
  thread->next_sleeper = *at;
  *at = thread;
  thread->in_sleepers = true;
}

void Scheduler::remove_sleeper(Thread* thread) {
  Thread** at = &first_sleeper_;
  while (*at != thread) at = &(*at)->next_sleeper;
  *at = thread->next_sleeper;
  thread->in_sleepers = false;
}

void Scheduler::leave_queue(Thread* thread) {
  WaitQueue& queue = *thread->queue;
  Thread* before = nullptr;
  Thread** at = &queue.first_;
  while (*at != thread) {
    before = *at;
    at = &(*at)->next;
  }
  *at = thread->next;
  if (queue.last_ == thread) queue.last_ = before;
  thread->queue = nullptr;
}

void Scheduler::make_runnable(Thread* thread) {
  if (thread->in_sleepers) remove_sleeper(thread);
  if (thread->queue != nullptr) leave_queue(thread);
  enqueue(thread);
}

void Scheduler::wake_expired() {
  if (first_sleeper_ == nullptr) return;
  u64 now = timing::now_ns();
  while (first_sleeper_ != nullptr && first_sleeper_->deadline_ns <= now) {
    first_sleeper_->timed_out = true;
    make_runnable(first_sleeper_);
  }
}

// Returns the next thread to run, and sleeps the CPU until there is one. Called with interrupts
// off.
Thread* Scheduler::pick() {
  for (;;) {
    wake_expired();
    if (first_runnable_ != nullptr) break;
    u64 deadline = first_sleeper_ != nullptr ? first_sleeper_->deadline_ns : kNever;
    arch::Cpu::set_timer(deadline == kNever ? 0 : timing::ticks_at(deadline));
    idle.store(true, std::memory_order_relaxed);
    arch::Cpu::wait_for_interrupt();
    arch::Cpu::disable_interrupts();
    idle.store(false, std::memory_order_relaxed);
  }
  Thread* thread = first_runnable_;
  first_runnable_ = thread->next;
  return thread;
}

// Switches to the next runnable thread. The caller has put its own thread into the queue that will
// wake it.
void Scheduler::switch_away() {
  heartbeat.fetch_add(1, std::memory_order_relaxed);
  Thread* from = current_;
  u64 stopped = timing::now_ns();
  from->run_ns += stopped - slice_start_ns_;
  Thread* to = pick();
  to->state = State::kRunning;
  to->switches++;
  current_ = to;
  slice_start_ns_ = timing::now_ns();
  if (to == from) return;
  arch::Cpu::switch_context(from->context, to->context);
  reap();
}

void Scheduler::reap() {
  if (dead_ == nullptr) return;
  Thread* thread = std::exchange(dead_, nullptr);
  Thread** at = &all_;
  while (*at != thread) at = &(*at)->next_thread;
  *at = thread->next_thread;
  arch::Cpu::unguard_page(thread->stack.data());
  mm::free_pages(thread->stack);
  base::Delete{}(thread);
}

void Scheduler::finish() {
  arch::Cpu::disable_interrupts();
  current_->state = State::kDead;
  dead_ = current_;
  switch_away();
  assertion_failed("a dead thread does not run", __FILE__, __LINE__);
}

bool Scheduler::others_runnable() {
  locks::InterruptsOff off;
  wake_expired();
  return first_runnable_ != nullptr;
}

void Scheduler::yield() {
  heartbeat.fetch_add(1, std::memory_order_relaxed);
  arch::Cpu::poll_interrupts();
  locks::InterruptsOff off;
  wake_expired();
  if (first_runnable_ == nullptr) return;
  enqueue(current_);
  switch_away();
}

bool Scheduler::wait(WaitQueue& queue, u64 deadline_ns) {
  locks::InterruptsOff off;
  if (std::exchange(queue.pending_, false)) return true;
  Thread* self = current_;
  self->state = State::kWaiting;
  self->timed_out = false;
  self->queue = &queue;
  self->next = nullptr;
  (queue.first_ == nullptr ? queue.first_ : queue.last_->next) = self;
  queue.last_ = self;
  self->deadline_ns = deadline_ns;
  if (deadline_ns != kNever) add_sleeper(self);
  switch_away();
  return !self->timed_out;
}

void Scheduler::sleep_until(u64 deadline_ns) {
  locks::InterruptsOff off;
  Thread* self = current_;
  self->state = State::kSleeping;
  self->timed_out = false;
  self->deadline_ns = deadline_ns;
  add_sleeper(self);
  switch_away();
}

void Scheduler::wake(WaitQueue& queue, bool all) {
  locks::InterruptsOff off;
  // A thread may be between its check and its wait. The flag makes that wait return at once, so the
  // wake is not lost.
  if (all || queue.first_ == nullptr) queue.pending_ = true;
  while (queue.first_ != nullptr) {
    make_runnable(queue.first_);
    if (!all) break;
  }
}

void Scheduler::list(base::Writer& out) const {
  constexpr const char* kStates[] = {"runnable", "running", "waiting", "sleeping", "dead"};
  base::format_to(out, "{:<24} {:<9} {:>12} {:>10} {:>16}\n", "thread", "state", "time ms",
                  "switches", "stack KiB");
  for (const Thread* t = all_; t != nullptr; t = t->next_thread) {
    char stack[32];
    auto used = t->stack.empty() ? std::string_view("boot stack")
                                 : base::format_into(stack, "{} of {}", stack_high_water(*t) / kKiB,
                                                     t->stack.size() / kKiB - 4);
    u64 run_ns = t->run_ns + (t == current_ ? timing::now_ns() - slice_start_ns_ : 0);
    base::format_to(out, "{:<24} {:<9} {:>12} {:>10} {:>16}\n", name(t),
                    kStates[static_cast<u32>(t->state)], base::ratio(run_ns, 1'000'000, 3),
                    t->switches, used);
  }
}

void init() {
  scheduler.init();
}
u64 heartbeat() {
  return scheduler.heartbeat.load(std::memory_order_relaxed);
}
bool idle() {
  return scheduler.idle.load(std::memory_order_relaxed);
}
Result<Thread*> spawn(std::string_view name, void (*entry)(void*), void* argument,
                      usize stack_bytes) {
  return scheduler.spawn(name, entry, argument, stack_bytes);
}
void yield() {
  scheduler.yield();
}
bool others_runnable() {
  return scheduler.others_runnable();
}
void sleep_ns(u64 ns) {
  assert_thread();
  u64 now = timing::now_ns();
  scheduler.sleep_until(ns > kNever - now ? kNever : now + ns);
}
Thread* current() {
  return scheduler.current();
}
bool in_thread() {
  return scheduler.in_thread();
}
std::string_view name(const Thread* thread) {
  return {thread->name, thread->name_size};
}
void for_each_stack(void (*visit)(void* context, std::span<const Byte> stack), void* context) {
  for (const Thread* t = scheduler.first(); t != nullptr; t = t->next_thread)
    if (!t->stack.empty()) visit(context, t->stack);
}
void list(base::Writer& out) {
  scheduler.list(out);
}

bool WaitQueue::wait(u64 deadline_ns) {
  assert_thread();
  return scheduler.wait(*this, deadline_ns);
}
void WaitQueue::wake_one() {
  scheduler.wake(*this, false);
}
void WaitQueue::wake_all() {
  scheduler.wake(*this, true);
}

}  // namespace sched
