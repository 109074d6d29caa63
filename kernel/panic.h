// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel's panic: prints the reason, registers, call chain and last log lines, and then runs a
// small shell.
//
// Panics are for broken invariants of our own code and for faults, never for what a file, peer or
// person can cause. Any context, on any CPU. The first panic wins; the other CPUs are stopped.
#pragma once

#include "kernel/base/format.h"
#include "kernel/base/registry.h"
#include "kernel/dev/char_device.h"

namespace arch {
struct TrapFrame;
}

[[noreturn]] void panic_args(std::string_view format, std::span<const base::FormatArg> args);

// Usage: panic("the heap lost {} bytes", n).
template <class... Args>
[[noreturn]] void panic(std::string_view format, const Args&... args) {
  if constexpr (sizeof...(Args) == 0) {
    panic_args(format, {});
  } else {
    const base::FormatArg packed[] = {base::FormatArg(args)...};
    panic_args(format, packed);
  }
}

// For the architecture: `frame` is where the fault happened, and `reason` is the complete text.
[[noreturn]] void panic_at(const arch::TrapFrame& frame, std::string_view reason);

// Returns true during and after a panic. Devices then show everything at once and rely on nothing.
bool panic_happened();

// Adds a device (at most 4) that panics are written to and the panic shell reads from. Its write()
// and read() must work by polling, with interrupts off and other CPUs stopped.
void panic_add_device(CharDevice& device);

// The panic shell's output, and its input by polling.
class PanicConsole : public base::Writer {
 public:
  virtual int read() = 0;  // returns the next byte; waits for ever

 protected:
  ~PanicConsole() = default;
};
// The console registers its shell here, because the kernel does not know the console.
struct PanicShell {
  void (*run)(PanicConsole& console);  // need not return
};
REGISTRY(panic_shells, PanicShell)
#define PANIC_SHELL(row) REGISTER_ROW(panic_shells, row)

// Print the call chain of the panic (or of the caller, if there was none), and the fault's
// registers, if any.
void panic_print_backtrace(base::Writer& out);
void panic_print_registers(base::Writer& out);
