// SPDX-License-Identifier: GPL-2.0-or-later
// The end of the road, told well: reason, registers, call chain, last log lines, then a small
// shell.
//
// For broken invariants of our own and for faults; never for what a file, peer or person can cause.
// Any context, on any CPU. The first panic wins, the other CPUs are stopped.
#pragma once

#include "kernel/base/format.h"
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
// Set by the console, which the kernel does not know. It returns to end the panic.
void panic_set_shell(void (*shell)(PanicConsole& console));

// The call chain of the panic, for the panic shell's `bt`. Empty output when there was no panic.
void panic_print_backtrace(base::Writer& out);
void panic_print_registers(base::Writer& out);
