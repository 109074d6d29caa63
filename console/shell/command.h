// SPDX-License-Identifier: GPL-2.0-or-later
// A console command is one row. To add one, write run_x, the row, and CONSOLE_COMMAND(row).
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/format.h"
#include "kernel/base/registry.h"
#include "kernel/base/result.h"

namespace console {

struct Arguments {
  std::span<const std::string_view> words;  // words[0] is the command's name
  std::string_view raw;                     // everything after the name, as typed
};

struct Command {
  const char* name;
  const char* usage;    // "mem [map]"
  const char* summary;  // one line for `help`
  Result<void> (*run)(const Arguments& arguments, base::Writer& out);
  const char* details = "";  // shown by `help NAME`
  bool panic_safe = false;   // may run in the panic shell: no allocation, no locks, no threads
  // Completes the word being typed: calls add(candidate) for each possibility. May be null.
  void (*complete)(std::string_view word, void (*add)(void*, std::string_view),
                   void* context) = nullptr;
};

Result<u64> parse_number(std::string_view text);  // decimal digits only
// Returns words[index] as a number, or `otherwise` if there are fewer words.
Result<u64> number_at(const Arguments& arguments, usize index, u64 otherwise);

REGISTRY(console_commands, Command)
#define CONSOLE_COMMAND(row) REGISTER_ROW(console_commands, row)

}  // namespace console
