// SPDX-License-Identifier: GPL-2.0-or-later
// The end of the road, told well: reason, registers, call chain, last log lines, then a small
// shell.
//
// For broken invariants of our own and for faults; never for what a file, peer or person can cause.
// Any context, on any CPU. The first panic wins, the other CPUs are stopped.
#pragma once

#include "kernel/base/format.h"
#include "kernel/base/registry.h"
#include "kernel/dev/char_device.h"

namespace arch {
struct TrapFrame;
}

[[noreturn]] void panic_args(std::string_view format, std::span<const base::FormatArg> args);

// panic("the heap lost {} bytes", n)
template <class... Args>
[[noreturn]] void panic(std::string_view format, const Args&... args) {
  if constexpr (sizeof...(Args) == 0) {
    panic_args(format, {});
  } else {
    const base::FormatArg packed[] = {base::FormatArg(args)...};
    panic_args(format, packed);
  }
}

// For arch: `frame` is where the fault happened, `reason` complete.
[[noreturn]] void panic_at(const arch::TrapFrame& frame, std::string_view reason);

// Is a panic being reported, or was one? Devices then show everything at once and trust nothing.
bool panic_happened();

// Panics are written to, and the panic shell reads from, each device added here (at most 4).
// Its write() and read() must work polled, with interrupts off and other CPUs stopped.
void panic_add_device(CharDevice& device);

// What a panic may do once everything is printed.
class PanicConsole : public base::Writer {
 public:
  virtual int read() = 0;  // the next byte; waits for ever

 protected:
  ~PanicConsole() = default;
};
// The console registers one; the kernel does not know it.
struct PanicShell {
  void (*run)(PanicConsole& console);  // does not have to return
};
REGISTRY(panic_shells, PanicShell)
#define PANIC_SHELL(row) REGISTER_ROW(panic_shells, row)

// The call chain of the panic, or of the caller when there was none; the fault's registers, if any.
void panic_print_backtrace(base::Writer& out);
void panic_print_registers(base::Writer& out);
