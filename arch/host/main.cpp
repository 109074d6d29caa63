// SPDX-License-Identifier: GPL-2.0-or-later
// The twin's first instruction: arguments become the boot command line, stdio the console.
//
// build/host/marrow threads=2 run="help; poweroff"
#include <cstdio>
#include <cstdlib>
#include <string>

#include "boot/boot_info.h"
#include "kernel/arch_contract.h"
#include "kernel/main.h"

// The engine's objects are the kernel's, whose stack protector reads one global word.
extern "C" {
// NOLINTNEXTLINE(bugprone-reserved-identifier)
u64 __stack_chk_guard = 0x6d6172726f770a00;
}

namespace {

// The shell has taken the quotes: a value with spaces gets its own back.
std::string command_line(int count, char** words) {
  std::string line;
  for (int i = 1; i < count; i++) {
    std::string word;
    for (const char* c = words[i]; *c != 0; c++) {
      if (*c == '"' || *c == '\\') word += '\\';
      word += *c;
    }
    if (!line.empty()) line += ' ';
    usize equals = word.find('=');
    bool spaced = word.find_first_of(" \t\"\\") != std::string::npos;
    if (!spaced) {
      line += word;
    } else if (equals == std::string::npos) {
      line += '"' + word + '"';
    } else {
      line += word.substr(0, equals + 1) + '"' + word.substr(equals + 1) + '"';
    }
  }
  return line;
}

}  // namespace

int main(int count, char** words) {
  __stack_chk_guard = arch::Cpu::random_seed() & ~u64{0xff};
  static std::string line = command_line(count, words);
  static BootInfo boot;
  boot.loader = "linux process";
  boot.command_line = line;
  boot.entry_ticks = arch::Cpu::now_ticks();
  kernel_main(boot);
}
