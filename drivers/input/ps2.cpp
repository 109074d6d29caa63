// SPDX-License-Identifier: GPL-2.0-or-later
// Sets up the 8042 and adds its keyboard as a console device. (Intel 8042; IBM PS/2 Technical
// Reference.)
#include "drivers/input/ps2.h"

#include "drivers/display/framebuffer.h"
#include "drivers/input/scancode.h"
#include "kernel/arch_contract.h"
#include "kernel/dev/power.h"
#include "kernel/dev/terminal.h"
#include "kernel/irq/irq.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/time/clock.h"

#include <arch/interrupts.h>
#include <arch/port_io.h>

namespace ps2 {
namespace {

constexpr u16 kData = 0x60, kCommand = 0x64;  // reading kCommand gives the status
constexpr u8 kOutputFull = 1, kInputFull = 2, kFromMouse = 0x20;
constexpr u8 kReadConfig = 0x20, kWriteConfig = 0x60, kDisableMouse = 0xa7, kDisableKeyboard = 0xad,
             kEnableKeyboard = 0xae;
constexpr u8 kConfigInterrupt = 1, kConfigClockOff = 0x10, kConfigTranslate = 0x40;
constexpr u8 kEnableScanning = 0xf4, kAcknowledge = 0xfa;
constexpr u64 kAnswerNs = 20'000'000;  // a keyboard answers within 20 ms
constexpr u32 kIsaLine = 1;

bool wait_status(u8 bit, bool set) {
  u64 deadline = timing::now_ns() + kAnswerNs;
  while (((arch::in8(kCommand) & bit) != 0) != set) {
    if (timing::now_ns() > deadline) return false;
    arch::Cpu::relax();
  }
  return true;
}

Result<void> send(u16 port, u8 value) {
  if (!wait_status(kInputFull, false)) return fail(Errc::kNotFound, "no keyboard controller");
  arch::out8(port, value);
  return {};
}

Result<u8> receive() {
  if (!wait_status(kOutputFull, true)) return fail(Errc::kNotFound, "no keyboard");
  return arch::in8(kData);
}

class Keyboard final : public CharDevice {
 public:
  const char* name() const override { return "keyboard"; }
  void write(std::string_view) override {}
  int read() override;
  bool announces_input() const override { return by_interrupt; }
  void take_all();  // everything that the controller holds; called with interrupts off

  bool by_interrupt = false;

 private:
  static constexpr u32 kRing = 256;  // keys typed ahead; a power of two
  void put(char c);

  input::ScancodeDecoder decoder_{input::ScancodeSet::kSet1};  // the controller translates
  char ring_[kRing] = {};
  u32 first_ = 0, last_ = 0;  // counters; their difference is the fill
  // keys request it and read() does it, because drawing is no work for an interrupt handler
  i8 scroll_ = 0;
};

constinit Keyboard keyboard;

void Keyboard::put(char c) {
  if (last_ - first_ < kRing) ring_[last_++ % kRing] = c;
}

void Keyboard::take_all() {
  for (u32 i = 0; i < 64; i++) {
    u8 status = arch::in8(kCommand);
    if ((status & kOutputFull) == 0) return;
    u8 code = arch::in8(kData);
    if ((status & kFromMouse) != 0) continue;
    input::KeyPress press = decoder_.feed(code);
    for (char c : press.bytes) put(c);
    scroll_ = static_cast<i8>(scroll_ + press.scroll);
    if (!press.restart) continue;
    if (panic_happened()) arch::Cpu::reboot();  // there is nothing left to finish
    power::ask(power::Wish::kRestart);
  }
}

int Keyboard::read() {
  bool on = arch::Cpu::disable_interrupts();
  take_all();  // the panic shell has no interrupts
  int c = first_ != last_ ? static_cast<u8>(ring_[first_++ % kRing]) : -1;
  i8 scroll = std::exchange(scroll_, i8{0});
  arch::Cpu::restore_interrupts(on);
  if (scroll != 0) display::scroll_view(scroll);
  return c;
}

void on_interrupt(void*) {
  keyboard.take_all();
  terminal::input_arrived();
}

Result<void> start_controller() {
  if (arch::in8(kCommand) == 0xff) return fail(Errc::kNotFound, "no keyboard controller");
  TRY(send(kCommand, kDisableKeyboard));
  TRY(send(kCommand, kDisableMouse));
  for (u32 i = 0; i < 16 && (arch::in8(kCommand) & kOutputFull) != 0; i++) arch::in8(kData);
  TRY(send(kCommand, kReadConfig));
  u8 config = TRY(receive());
  config |= kConfigInterrupt | kConfigTranslate;
  config &= static_cast<u8>(~kConfigClockOff);
  TRY(send(kCommand, kWriteConfig));
  TRY(send(kData, config));
  TRY(send(kCommand, kEnableKeyboard));
  TRY(send(kData, kEnableScanning));
  u8 answer = TRY(receive());
  if (answer != kAcknowledge) return fail(Errc::kNotFound, "no keyboard");
  return {};
}

}  // namespace

Result<void> init() {
  TRY(start_controller());
  Result<u32> vector = irq::allocate("keyboard", on_interrupt, nullptr);
  Result<void> routed;
  if (vector.has_value()) routed = arch::interrupts::route_isa(kIsaLine, *vector);
  keyboard.by_interrupt = vector.has_value() && routed.has_value();
  if (!keyboard.by_interrupt) log::warn("ps2", "no interrupt for the keyboard: it is polled");
  TRY(terminal::add(keyboard));
  panic_add_device(keyboard);
  log::info("ps2", "keyboard found");
  return {};
}

}  // namespace ps2
