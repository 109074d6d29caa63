// SPDX-License-Identifier: GPL-2.0-or-later
// The ring of log lines. Writers take a slot with one atomic add; readers skip torn lines.
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
  // 2 * number + 1 while being written, 2 * number + 2 when whole: a reader sees both ends equal.
  std::atomic<u32> version{0};
  u16 size = 0;
  Level level = Level::kInfo;
  char text[kLineBytes] = {};
};

constinit Line lines[kLines];
std::atomic<u32> next{0};
std::atomic<Level> echo_level{Level::kWarn};

void write_prefix(base::Writer& out, Level level, std::string_view subsystem) {
  constexpr const char* kNames[] = {"error: ", "warning: ", "", ""};
  base::format_to(out, "[{:>10}] {}: {}", base::ratio(timing::now_ns(), 1'000'000'000, 6),
                  subsystem, kNames[static_cast<u32>(level)]);
}

bool copy_line(u32 number, Line& slot, std::span<char, kLineBytes> out, usize& size) {
  u32 whole = 2 * number + 2;
  if (slot.version.load(std::memory_order_acquire) != whole) return false;
  size = std::min<usize>(slot.size, kLineBytes);
  std::memcpy(out.data(), slot.text, size);
  std::atomic_thread_fence(std::memory_order_acquire);
  return slot.version.load(std::memory_order_relaxed) == whole;
}

}  // namespace

void write(Level level, std::string_view subsystem, std::string_view format,
           std::span<const base::FormatArg> args) {
  char text[kLineBytes];
  base::BufferWriter out(std::span<char>(text, kLineBytes - 1));
  write_prefix(out, level, subsystem);
  base::format_args(out, format, args);
  usize size = out.view().size();
  text[size++] = '\n';

  u32 number = next.fetch_add(1, std::memory_order_relaxed);
  Line& slot = lines[number % kLines];
  slot.version.store(2 * number + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  std::memcpy(slot.text, text, size);
  slot.size = static_cast<u16>(size);
  slot.level = level;
  slot.version.store(2 * number + 2, std::memory_order_release);
  // Other CPUs only record: the console's devices belong to CPU 0.
  if (level <= echo_level.load(std::memory_order_relaxed) && arch::Cpu::cpu_index() == 0)
    terminal::write({text, size});
}

void set_echo(Level level) {
  echo_level.store(level, std::memory_order_relaxed);
}

void replay(base::Writer& out, u32 count) {
  u32 end = next.load(std::memory_order_acquire);
  u32 first = end - std::min({count, end, kLines});
  for (u32 number = first; number != end; number++) {
    char text[kLineBytes];
    usize size = 0;
    if (copy_line(number, lines[number % kLines], text, size)) out.write({text, size});
  }
}

}  // namespace log
