// SPDX-License-Identifier: GPL-2.0-or-later
// The internals of the explorer: the memory as messages and views, and the machine that runs fibers
// over it. Part of the tests of memory ordering; compiled without instrumentation.
#pragma once

#include <ucontext.h>

#include <array>
#include <cstring>
#include <map>
#include <unordered_map>
#include <utility>

#include "tests/weak/explorer.h"

namespace weak {

constexpr u32 kMostThreads = kMostCpus;
constexpr usize kMostBytes = 16;  // one access; a longer copy is several accesses
constexpr u32 kNobody = ~u32{0};

// The bytes of a word after a store.
struct Value {
  std::array<Byte, kMostBytes> bytes{};
  bool operator==(const Value&) const = default;
};

// The knowledge of a thread or a message: the newest message of each word that it has seen, and how
// far it has seen each thread run (a vector clock, to find races of plain data).
struct View {
  std::vector<u32> seen;
  std::array<u32, kMostThreads> clock{};

  u32 at(u32 word) const { return word < seen.size() ? seen[word] : 0; }
  void see(u32 word, u32 message) {
    if (seen.size() <= word) seen.resize(word + 1);
    seen[word] = std::max(seen[word], message);
  }
  void join(const View& other);
};

struct Message {
  Value value;
  View view;  // joined into a reader that acquires
};

struct Word {
  const volatile void* address;
  usize size;
  std::vector<Message> messages;  // in the order in which the stores were made
  u32 total_order = 0;            // the newest sequentially consistent store
};

// The last threads that touched a piece of plain data, for the race detector.
struct Plain {
  u32 writer = kNobody;
  u32 write_time = 0;
  std::array<u32, kMostThreads> read_time{};
};

// A step that a thread is about to make. Two steps commute unless they touch the same object and
// one of them changes it.
struct Step {
  const volatile void* object = nullptr;
  bool changes = false;
  const char* what = "begins";
  bool commutes_with(const Step& other) const {
    return object != other.object || (!changes && !other.changes);
  }
};

enum class Order : int { kRelaxed, kConsume, kAcquire, kRelease, kBoth, kTotal };

struct Fiber {
  ucontext_t context{};
  std::vector<Byte> stack;
  std::function<void()> body;
  View now, acquired, released;  // known; added by an acquire fence; published by a release fence
  Step next;
  u64 clock = 0;
  bool ended = false, may_stay = false;
  bool interrupted = false;
  std::function<bool()> can_go;                          // empty = always
  std::pair<const volatile void*, usize> unpublished{};  // racy data that it has just written
  // The last load, which a spin loop may repeat without a step (relax()).
  const volatile void* last_word = nullptr;
  u32 last_message = 0;
  bool spins = false;
};

// A decision of a run: which thread goes next, or which of several values a load returns.
struct Decision {
  std::vector<u32> choices;  // threads, or 0 ... n-1
  usize chosen = 0;
  bool of_thread = false;
  std::vector<u32> asleep;  // threads whose next step was explored from here before
};

class Machine {
 public:
  Outcome explore(const Options& options, std::vector<std::function<void()>> threads);

  // ---- called by fibers
  Value load(const volatile void* address, usize size, Order order);
  void store(const volatile void* address, usize size, const Value& value, Order order);
  Value modify(const volatile void* address, usize size, Order order,
               const std::function<bool(Value&)>& change);
  void fence(Order order);
  void plain(const volatile void* address, usize size, bool writes);
  void relax() { fibers_[running_].spins = true; }
  bool wait_while_equal(const volatile void* address, const Value& value, u64 deadline);
  void wait_for_interrupt();
  void wake(u32 thread);
  bool has(u32 thread) const { return fibers_[thread].body != nullptr; }
  u32 add_cpu(std::function<void()> body);
  void start_others();
  void check(bool holds, const char* what);
  void racy(const volatile void* data, usize bytes);
  bool is_racy(const volatile void* address) const;
  // Plain code writes racy data after the call that announces it. The value is read at the thread's
  // next call, before another thread can run.
  void store_racy(const volatile void* address, usize size);
  void publish_racy();
  // True while a fiber runs code under test and not the explorer itself.
  bool active() const { return running_ != kNobody && !inside; }
  bool inside = true;
  u32 running() const { return running_; }
  Fiber& self() { return fibers_[running_]; }

 private:
  void run_once();
  bool go_on();  // false: the run is over
  void step(const Step& next, std::function<bool()> can_go = {});
  u32 choose(u32 count);
  u32 choose_thread(const std::vector<u32>& able);
  bool next_run();
  Word& word_of(const volatile void* address, usize size);
  void keep(const volatile void* address, usize size);
  void put_back();
  void fail(const std::string& what);
  [[noreturn]] void leave();
  void publish(const volatile void* address, usize size, const Value& value, Order order);
  void read_message(u32 word, u32 message, Order order);
  u32 start(std::function<void()> body, bool may_stay);
  void note(const std::string& text);
  Order weakened(Order order, bool fence) const;
  static void enter();

  Options options_;
  std::vector<std::function<void()>> bodies_;
  std::vector<Fiber> fibers_;
  ucontext_t scheduler_{};
  u32 running_ = kNobody, last_ = kNobody;
  u32 switches_ = 0;  // of this run, away from a thread that could go on
  bool others_ = false, over_ = false, redundant_ = false;
  std::vector<Decision> path_;
  usize depth_ = 0;
  std::vector<u32> asleep_;
  std::vector<Word> words_;
  std::unordered_map<const volatile void*, u32> word_at_;
  std::unordered_map<const volatile void*, Plain> plain_;
  std::map<const volatile Byte*, Value> kept_;  // 8 bytes each, as they were before the run
  std::vector<std::pair<const volatile Byte*, usize>> racy_;
  std::string failure_;
  std::vector<std::string> trace_;
};

extern Machine machine;

template <class T>
Value value_of(T v) {
  Value value;
  std::memcpy(value.bytes.data(), &v, sizeof v);
  return value;
}
template <class T>
T number(const Value& value) {
  T v;
  std::memcpy(&v, value.bytes.data(), sizeof v);
  return v;
}

}  // namespace weak
