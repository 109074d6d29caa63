// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the ring of log lines. Writers take a slot with one atomic addition; readers skip
// lines that are being written.
#include "kernel/log.h"

#include <atomic>

#include "kernel/arch_contract.h"
#include "kernel/dev/terminal.h"
#include "kernel/time/clock.h"

namespace log {
namespace {

constexpr u32 kLines = 512;  // a power of two
constexpr usize kLineBytes = 240;

struct Line {
  // 2 * number + 1 while the line is written, 2 * number + 2 when it is complete. A reader checks
  // that it is the same before and after.
  std::atomic<u32> version{0};
  u16 size = 0;
  u64 ticks = 0;  // the first lines are older than the clock's calibration
  char text[kLineBytes] = {};
};

constinit Line lines[kLines];
std::atomic<u32> next{0};
std::atomic<Level> echo_level{Level::kWarn};
std::atomic<bool> echo_from_any{false};

void write_line(base::Writer& out, u64 ticks, std::string_view text) {
  u64 start = timing::ticks_at(0);
  u64 ns = start == 0 ? 0 : timing::ns_from_ticks(ticks - start);  // 0: there is no clock yet
  base::format_to(out, "[{:>10}] {}", base::ratio(ns, 1'000'000'000, 6), text);
}

void echo(u64 ticks, std::string_view text) {
  char line[kLineBytes + 32];
  base::BufferWriter out(line);
  write_line(out, ticks, text);
  terminal::announce(out.view());
}

bool copy_line(u32 number, const Line& slot, std::span<char, kLineBytes> out, usize& size,
               u64& ticks) {
  u32 whole = 2 * number + 2;
  if (slot.version.load(std::memory_order_acquire) != whole) return false;
  size = std::min<usize>(slot.size, kLineBytes);
  ticks = slot.ticks;
  std::memcpy(out.data(), slot.text, size);
  std::atomic_thread_fence(std::memory_order_acquire);
  return slot.version.load(std::memory_order_relaxed) == whole;
}

}  // namespace

void write(Level level, std::string_view subsystem, std::string_view format,
           std::span<const base::FormatArg> args) {
  char text[kLineBytes];
  base::BufferWriter out(std::span<char>(text, kLineBytes - 1));
  constexpr const char* kNames[] = {"error: ", "warning: ", "", ""};
  base::format_to(out, "{}: {}", subsystem, kNames[static_cast<u32>(level)]);
  base::format_args(out, format, args);
  usize size = out.view().size();
  text[size++] = '\n';

  u64 ticks = arch::Cpu::now_ticks();
  u32 number = next.fetch_add(1, std::memory_order_relaxed);
  Line& slot = lines[number % kLines];
  slot.version.store(2 * number + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  std::memcpy(slot.text, text, size);
  slot.size = static_cast<u16>(size);
  slot.ticks = ticks;
  slot.version.store(2 * number + 2, std::memory_order_release);
  bool may_echo = arch::Cpu::cpu_index() == 0 || echo_from_any.load(std::memory_order_relaxed);
  if (may_echo && level <= echo_level.load(std::memory_order_relaxed)) echo(ticks, {text, size});
}

void set_echo(Level level) {
  echo_level.store(level, std::memory_order_relaxed);
}

void set_echo_from_any_cpu(bool on) {
  echo_from_any.store(on, std::memory_order_relaxed);
}

void replay(base::Writer& out, u32 count) {
  u32 end = next.load(std::memory_order_acquire);
  u32 first = end - std::min({count, end, kLines});
  for (u32 number = first; number != end; number++) {
    char text[kLineBytes];
    usize size = 0;
    u64 ticks = 0;
    if (copy_line(number, lines[number % kLines], text, size, ticks))
      write_line(out, ticks, {text, size});
  }
}

}  // namespace log
