// SPDX-License-Identifier: GPL-2.0-or-later
// The memory model of the explorer: the values that a load may return, the stores that a store
// publishes, and the plain accesses that race. The rules are those of C++20 [intro.races] and
// [atomics.order], with one more: stores to one word take effect in the order in which they are
// made.
#include "tests/weak/model.h"

#include <algorithm>

#include "kernel/base/bytes.h"

namespace weak {

Machine machine;

void View::join(const View& other) {
  if (seen.size() < other.seen.size()) seen.resize(other.seen.size());
  for (usize i = 0; i < other.seen.size(); i++) seen[i] = std::max(seen[i], other.seen[i]);
  for (u32 i = 0; i < kMostThreads; i++) clock[i] = std::max(clock[i], other.clock[i]);
}

namespace {

bool acquires(Order order) {
  return order != Order::kRelaxed && order != Order::kRelease;
}
bool releases(Order order) {
  return order == Order::kRelease || order == Order::kBoth || order == Order::kTotal;
}

}  // namespace

Order Machine::weakened(Order order, bool fence) const {
  switch (options_.without) {
    case Without::kAcquire:
      if (!fence && order == Order::kAcquire) return Order::kRelaxed;
      return !fence && order == Order::kBoth ? Order::kRelease : order;
    case Without::kRelease:
      if (!fence && order == Order::kRelease) return Order::kRelaxed;
      return !fence && order == Order::kBoth ? Order::kAcquire : order;
    case Without::kTotalOrder:
      return order == Order::kTotal ? Order::kBoth : order;
    case Without::kFences:
      return fence ? Order::kRelaxed : order;
    default:
      return order;
  }
}

Word& Machine::word_of(const volatile void* address, usize size) {
  auto [it, fresh] = word_at_.try_emplace(address, static_cast<u32>(words_.size()));
  if (fresh) {
    keep(address, size);
    Word word;
    word.address = address;
    word.size = size;
    Value first;
    std::memcpy(first.bytes.data(), const_cast<const void*>(address), size);
    word.messages.push_back({first, {}});
    words_.push_back(std::move(word));
  }
  Word& word = words_[it->second];
  if (word.size != size) fail("a word is accessed in two sizes");
  return word;
}

void Machine::read_message(u32 index, u32 message, Order order) {
  Fiber& me = self();
  const Message& read = words_[index].messages[message];
  me.now.see(index, message);
  me.acquired.join(read.view);
  if (acquires(order)) me.now.join(read.view);
}

Value Machine::load(const volatile void* address, usize size, Order order) {
  order = weakened(order, false);
  publish_racy();
  Fiber& me = self();
  if (me.spins && me.last_word == address) {
    // The loop's first read has already tried every value that the word may hold by now.
    me.spins = false;
    return words_[word_at_.at(address)].messages[me.last_message].value;
  }
  step({address, false, "load"});
  Word& word = word_of(address, size);
  u32 index = word_at_.at(address);
  u32 oldest = me.now.at(index);
  if (order == Order::kTotal) oldest = std::max(oldest, word.total_order);
  u32 newest = static_cast<u32>(word.messages.size()) - 1;
  u32 message = newest - choose(newest - oldest + 1);
  read_message(index, message, order);
  me.last_word = address;
  me.last_message = message;
  if (message != newest) note("  ... an older value");
  return words_[index].messages[message].value;
}

void Machine::store(const volatile void* address, usize size, const Value& value, Order order) {
  order = weakened(order, false);
  step({address, true, "store"});
  publish(address, size, value, order);
}

void Machine::publish(const volatile void* address, usize size, const Value& value, Order order) {
  Word& word = word_of(address, size);
  u32 index = word_at_.at(address);
  Fiber& me = self();
  me.now.clock[running_]++;
  u32 message = static_cast<u32>(word.messages.size());
  me.now.see(index, message);
  View view = releases(order) ? me.now : me.released;
  view.see(index, message);
  word.messages.push_back({value, std::move(view)});
  if (order == Order::kTotal) word.total_order = message;
  std::memcpy(const_cast<void*>(address), value.bytes.data(), size);
}

void Machine::store_racy(const volatile void* address, usize size) {
  step({address, true, "store"});
  word_of(address, size);
  self().unpublished = {address, size};
}

void Machine::publish_racy() {
  auto [address, size] = std::exchange(self().unpublished, {});
  if (address == nullptr) return;
  Value value;
  std::memcpy(value.bytes.data(), const_cast<const void*>(address), size);
  publish(address, size, value, Order::kRelaxed);
}

Value Machine::modify(const volatile void* address, usize size, Order order,
                      const std::function<bool(Value&)>& change) {
  order = weakened(order, false);
  Fiber& me = self();
  u32 waits_at = me.spins && me.last_word == address ? me.last_message : kNobody;
  step({address, true, "read and modify"}, [this, address, waits_at] {
    return waits_at == kNobody || waits_at + 1 < words_[word_at_.at(address)].messages.size();
  });
  Word& word = word_of(address, size);
  u32 index = word_at_.at(address);
  u32 read = static_cast<u32>(word.messages.size()) - 1;
  Value before = word.messages[read].value, after = before;
  bool changed = change(after);
  read_message(index, read, order);
  me.last_word = address;
  me.last_message = read + (changed ? 1 : 0);
  if (!changed) return before;
  me.now.clock[running_]++;
  me.now.see(index, read + 1);
  View view = releases(order) ? me.now : me.released;
  view.join(word.messages[read].view);  // the release sequence goes on
  view.see(index, read + 1);
  word.messages.push_back({after, std::move(view)});
  if (order == Order::kTotal) word.total_order = read + 1;
  std::memcpy(const_cast<void*>(address), after.bytes.data(), size);
  return before;
}

void Machine::fence(Order order) {
  publish_racy();
  order = weakened(order, true);
  Fiber& me = self();
  if (acquires(order)) me.now.join(me.acquired);
  if (!releases(order)) return;
  me.now.clock[running_]++;
  me.released = me.now;
}

bool Machine::is_racy(const volatile void* address) const {
  auto* at = static_cast<const volatile Byte*>(address);
  return std::ranges::any_of(
      racy_, [at](const auto& r) { return at >= r.first && at < r.first + r.second; });
}

void Machine::racy(const volatile void* data, usize bytes) {
  racy_.emplace_back(static_cast<const volatile Byte*>(data), bytes);
}

// Checks plain data: each access must happen before or after every other access that conflicts.
void Machine::plain(const volatile void* address, usize size, bool writes) {
  publish_racy();
  if (writes) keep(address, size);
  Fiber& me = self();
  auto* first = static_cast<const volatile Byte*>(address);
  for (usize i = 0; i < size; i++) {
    Plain& data = plain_[first + i];
    bool behind_writer = data.writer == kNobody || data.writer == running_ ||
                         data.write_time <= me.now.clock[data.writer];
    bool behind_readers = true;
    for (u32 t = 0; t < kMostThreads; t++)
      behind_readers &= t == running_ || data.read_time[t] <= me.now.clock[t];
    if (!behind_writer || (writes && !behind_readers)) {
      note(writes ? "plain write" : "plain read");
      fail("a race of plain data");
    }
    // Other threads learn this time only from a message that is made later.
    if (writes) {
      data.writer = running_;
      data.write_time = me.now.clock[running_] + 1;
    } else {
      data.read_time[running_] = me.now.clock[running_] + 1;
    }
  }
}

// Remembers the bytes that instrumented code is about to overwrite.
void Machine::keep(const volatile void* address, usize size) {
  auto* first = reinterpret_cast<const Byte*>(reinterpret_cast<u64>(address) & ~u64{7});
  auto* end = static_cast<const volatile Byte*>(address) + size;
  for (; first < end; first += 8) {
    auto [it, fresh] = kept_.try_emplace(first);
    if (fresh) std::memcpy(it->second.bytes.data(), first, 8);
  }
}

void Machine::put_back() {
  for (auto& [at, value] : kept_) std::memcpy(const_cast<Byte*>(at), value.bytes.data(), 8);
  kept_.clear();
}

}  // namespace weak
