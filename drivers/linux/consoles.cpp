// SPDX-License-Identifier: GPL-2.0-or-later
// Connects the keyboards and console devices of Linux drivers to the terminal.
#include <atomic>

#include "drivers/display/framebuffer.h"
#include "drivers/input/scancode.h"
#include "drivers/linux/host.h"
#include "kernel/arch_contract.h"
#include "kernel/dev/power.h"
#include "kernel/dev/terminal.h"
#include "kernel/log.h"

namespace {

// All USB keyboards type here. Keys come in interrupts or threads; the console's thread calls
// read().
class Keyboard final : public CharDevice {
 public:
  const char* name() const override { return "usb keyboard"; }
  void write(std::string_view) override {}
  bool announces_input() const override { return true; }
  int read() override {
    bool on = arch::Cpu::disable_interrupts();
    int c = first_ != last_ ? static_cast<u8>(ring_[first_++ % kRing]) : -1;
    i8 scroll = std::exchange(scroll_, i8{0});
    arch::Cpu::restore_interrupts(on);
    if (scroll != 0) display::scroll_view(scroll);
    return c;
  }
  void feed(u8 scancode) {
    bool on = arch::Cpu::disable_interrupts();
    input::KeyPress press = decoder_.feed(scancode);
    for (char c : press.bytes)
      if (last_ - first_ < kRing) ring_[last_++ % kRing] = c;
    scroll_ = static_cast<i8>(scroll_ + press.scroll);
    if (press.restart) power::ask(power::Wish::kRestart);
    arch::Cpu::restore_interrupts(on);
  }

 private:
  static constexpr u32 kRing = 256;  // keys typed ahead; a power of two
  input::ScancodeDecoder decoder_{input::ScancodeSet::kSet1};
  char ring_[kRing] = {};
  u32 first_ = 0, last_ = 0;  // counters; their difference is the fill
  i8 scroll_ = 0;             // keys request it, read() does it
};
constinit Keyboard keyboard;
constinit bool keyboard_added = false;

class Console final : public CharDevice {
 public:
  void attach(int index, const char* name) {
    index_ = index;
    base::format_into(name_, "{}", std::string_view(name));
  }
  const char* name() const override { return name_; }
  void write(std::string_view text) override {
    shim_console_write(index_, text.data(), static_cast<u32>(text.size()));
  }
  int read() override { return shim_console_read(index_); }
  bool announces_input() const override { return true; }

 private:
  int index_ = 0;
  char name_[16] = {};
};
constexpr int kMostConsoles = 4;
constinit Console consoles[kMostConsoles];

void add(CharDevice& device) {
  auto added = terminal::add(device);
  if (added.has_value()) {
    log::info("drivers", "{}: part of the console", device.name());
  } else {
    log::warn("drivers", "{}: {}", device.name(), added.error());
  }
}

}  // namespace

void shim_host_key(unsigned int code, int pressed) {
  if (!std::exchange(keyboard_added, true)) add(keyboard);
  if (code > 0xff) keyboard.feed(0xe0);
  keyboard.feed(static_cast<u8>((code & 0x7f) | (pressed != 0 ? 0 : 0x80)));
  terminal::input_arrived();
}
void shim_host_add_console(int index, const char* name) {
  if (index >= kMostConsoles) return;
  consoles[index].attach(index, name);
  add(consoles[index]);
}
void shim_host_console_input() {
  terminal::input_arrived();
}
