// SPDX-License-Identifier: GPL-2.0-or-later
// Prints a panic and runs the panic shell. Nothing here allocates, locks or sleeps.
#include "kernel/panic.h"

#include <atomic>

#include "kernel/arch_machine.h"
#include "kernel/base/bytes.h"
#include "kernel/log.h"
#include "kernel/options.h"
#include "kernel/symbols.h"
#include "kernel/trace.h"
#include "kernel/trial.h"

namespace {

constexpr u32 kNobody = ~u32{0};
constexpr u32 kLogLines = 32;
constexpr u32 kTraceEvents = 8;

constinit StaticVector<CharDevice*, 4> devices;
constinit std::atomic<u32> panicking_cpu{kNobody};

// Where the panic happened, for the shell's commands.
struct Scene {
  const arch::TrapFrame* frame = nullptr;  // null: a software panic
  symbols::Place place{};
  bool happened = false;
};
constinit Scene scene;

class Devices final : public PanicConsole {
 public:
  void write(std::string_view text) override {
    while (!text.empty()) {
      usize line = text.find('\n');
      write_raw(text.substr(0, line));
      if (line == std::string_view::npos) return;
      write_raw("\r\n");
      text.remove_prefix(line + 1);
    }
  }
  void flush() {
    for (CharDevice* device : devices) device->flush();
  }
  int read() override {
    flush();
    for (;;) {
      for (CharDevice* device : devices)
        if (int byte = device->read(); byte >= 0) return byte;
      arch::Cpu::relax();
    }
  }

 private:
  void write_raw(std::string_view text) {
    for (CharDevice* device : devices) device->write(text);
  }
};
constinit Devices console;

[[noreturn]] void stop() {
  arch::halt_forever();
}

// Reports a panic during a panic, in as few steps as possible.
[[noreturn]] void panic_again(std::string_view reason) {
  static constinit std::atomic<u32> depth{0};
  if (depth.fetch_add(1) == 0) {
    console.write("\nanother panic while this one was reported: ");
    console.write(reason);
    console.write("\n");
    console.flush();
  }
  stop();
}

// Returns the place to which the function with this frame will return.
symbols::Place caller_of(const void* frame) {
  const auto* at = static_cast<const Byte*>(frame);
  return {.pc = base::load<u64>(at + sizeof(u64)), .frame_pointer = base::load<u64>(at)};
}

constexpr Option kPanic{"panic", OptionKind::kChoice, "shell", "shell|halt|reboot|poweroff",
                        "what to do after a panic has been shown"};
KERNEL_OPTION(kPanic);

// An emulator's exit status, by which a test sees that this was no good end.
constexpr u32 kPanicExitCode = 13;

void after_panic() {
  if (trial::on()) {
    console.write(
        "\nThis kernel has not proved itself: the machine restarts with the one before it.\n");
    console.flush();
    arch::Cpu::reboot();
  }
  std::string_view wanted = options::text(kPanic);
  if (wanted == "reboot") arch::Cpu::reboot();
  if (wanted == "poweroff") arch::Cpu::power_off(kPanicExitCode);
  if (wanted != "shell") return;
  for (const PanicShell* shell : panic_shells_rows()) shell->run(console);
}

[[noreturn]] void end(u32 cpu) {
  after_panic();
  base::format_to(console, "\nCPU {} is halted.\n", cpu);
  console.flush();
  stop();
}

[[noreturn]] void report(std::string_view reason, const Scene& where) {
  arch::Cpu::disable_interrupts();
  u32 cpu = arch::Cpu::cpu_index();
  u32 nobody = kNobody;
  if (!panicking_cpu.compare_exchange_strong(nobody, cpu)) {
    if (nobody == cpu) panic_again(reason);
    stop();  // another CPU is printing its panic; this one would only garble it
  }
  scene = where;
  trial::note_death(trial::Death::kPanic, reason);
  arch::stop_other_cpus();
  base::format_to(console, "\n*** PANIC on CPU {}: {}\n", cpu, reason);
  panic_print_registers(console);
  console.write("call chain:\n");
  panic_print_backtrace(console);
  console.write("last log lines:\n");
  log::replay(console, kLogLines);
  console.write("last trace events:\n");
  trace::print_newest(console, kTraceEvents);
  // The beginning may have scrolled off the screen, so the reason is repeated. `registers` shows
  // the rest again.
  base::format_to(console, "CPU {} stopped: {}\n", cpu, reason);
  panic_print_backtrace(console);
  end(cpu);
}

}  // namespace

void panic_args(std::string_view format, std::span<const base::FormatArg> args) {
  static constinit char text[512];
  base::BufferWriter reason(text);
  base::format_args(reason, format, args);
  report(reason.view(), {.place = caller_of(__builtin_frame_address(0)), .happened = true});
}

void panic_at(const arch::TrapFrame& frame, std::string_view reason) {
  report(reason, {&frame,
                  {frame.program_counter(), frame.frame_pointer(), arch::frameless_caller(frame)},
                  true});
}

bool panic_happened() {
  return panicking_cpu.load(std::memory_order_relaxed) != kNobody;
}

void panic_add_device(CharDevice& device) {
  if (!devices.push_back(&device)) panic("more than {} panic devices", devices.capacity());
}

void panic_print_registers(base::Writer& out) {
  if (scene.frame != nullptr) arch::print_registers(*scene.frame, out);
}

void panic_print_backtrace(base::Writer& out) {
  if (scene.happened) return symbols::print_backtrace(out, scene.place);
  symbols::print_backtrace(out, caller_of(__builtin_frame_address(0)));
}
