// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the console that merges all devices.
#include "kernel/dev/terminal.h"

#include "kernel/arch_contract.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"

namespace terminal {
namespace {

constexpr u8 kControlC = 0x03;
constexpr u64 kPollNs = 10'000'000;  // for devices without interrupts: faster than a typist

constinit StaticVector<CharDevice*, 8> devices;
constinit sched::WaitQueue input;

// Input that interrupted() has read but not used, in order. The size is a power of two.
struct Ahead {
  u8 bytes[4096] = {};
  u32 first = 0, last = 0;  // counters; their difference is the number of bytes
  bool empty() const { return first == last; }
  bool full() const { return last - first == sizeof bytes; }
  void put(u8 byte) { bytes[last++ % sizeof bytes] = byte; }
  u8 take() { return bytes[first++ % sizeof bytes]; }
};
constinit Ahead ahead;

constinit std::atomic<bool> row_owned{false}, row_taken{false};

// Asked each time, because a device may get its interrupt after it was added.
bool any_polled() {
  return std::ranges::any_of(devices, [](CharDevice* d) { return !d->announces_input(); });
}

int read_devices() {
  for (CharDevice* device : devices) {
    int byte = device->read();
    if (byte >= 0) return byte;
  }
  return -1;
}

}  // namespace

Result<void> add(CharDevice& device) {
  if (!devices.push_back(&device)) return fail(Errc::kFull, "too many console devices");
  return {};
}

void write(std::string_view text) {
  for (CharDevice* device : devices) device->write(text);
}

int read() {
  return ahead.empty() ? read_devices() : ahead.take();
}

int read_until(u64 deadline_ns) {
  for (;;) {
    int byte = read();
    if (byte >= 0) return byte;
    if (row_taken.load(std::memory_order_relaxed)) return -1;
    u64 now = timing::now_ns();
    if (now >= deadline_ns) return -1;
    u64 wake = deadline_ns;
    if (any_polled()) wake = std::min(wake, now + kPollNs);
    input.wait(wake);
  }
}

// Looks for a ^C in the input and keeps the other bytes for read(). While the buffer is full, input
// waits in the device, so a ^C after 4 KiB of unread input is found once that was read.
bool interrupted() {
  while (!ahead.full()) {
    int byte = read_devices();
    if (byte < 0) return false;
    if (byte == kControlC) return true;
    ahead.put(static_cast<u8>(byte));
  }
  return false;
}

// Neither waits for the line editor nor changes its state, because this may run in an interrupt
// while the editor draws.
void announce(std::string_view line) {
  if (!row_owned.load(std::memory_order_relaxed)) return write(line);
  write("\r\x1b[K");
  write(line);
  row_taken.store(true, std::memory_order_relaxed);
  if (arch::Cpu::cpu_index() == 0)
    // another CPU announces only that CPU 0 is stuck, so there is no thread to wake
    input.wake_all();
}

void own_row(bool on) {
  row_owned.store(on, std::memory_order_relaxed);
  if (!on) row_taken.store(false, std::memory_order_relaxed);
}

bool row_lost() {
  return row_taken.exchange(false, std::memory_order_relaxed);
}

void input_arrived() {
  input.wake_all();
}

u32 columns() {
  u32 narrowest = 0;
  for (CharDevice* device : devices) {
    u32 n = device->columns();
    if (n != 0 && (narrowest == 0 || n < narrowest)) narrowest = n;
  }
  return narrowest == 0 ? 80 : narrowest;
}

}  // namespace terminal
