// SPDX-License-Identifier: GPL-2.0-or-later
// Boot options: one row each gives the parser, `help boot` and the wiki page.
//
// Sources, later wins: defaults, /marrow.cfg (key=value a line, # comments), the boot command
// line (key=value or a bare flag, "quoted values" with spaces). Unknown keys warn with the nearest.
// Thread context of the boot CPU; works before the heap does.
#pragma once

#include <string_view>

#include "kernel/base/format.h"
#include "kernel/base/registry.h"
#include "kernel/base/result.h"

enum class OptionKind : u8 { kFlag, kNumber, kText, kChoice };

struct Option {
  const char* key;  // "threads"
  OptionKind kind;
  const char* default_value;    // as one would type it
  const char* values;           // kNumber: "0..64"; kChoice: "a|b|c"; kText: what it is ("PATH")
  const char* help;             // one line, lower case
  const char* alias = nullptr;  // another system's spelling ("zosia.perf")
};

REGISTRY(kernel_options, Option)
#define KERNEL_OPTION(row) REGISTER_ROW(kernel_options, row)

namespace options {

// Each returns what was wrong in the log, not to the caller: a bad option never stops a boot.
// Nothing given by the command line is overridden by a file, whichever is read first.
void parse_command_line(std::string_view text);
void parse_file(std::string_view text);
// What is wrong with one key=value or flag is told to `why`, and nothing is set: a machine boots
// with a warning, a program that is given such an argument does not start.
Result<void> judge(std::string_view argument, base::Writer& why);

bool flag(const Option& option);
u64 number(const Option& option);
std::string_view text(const Option& option);
bool given(const Option& option);  // set by a file or the command line

// Every option by key: its values, default, meaning and, where given, its present value.
void list(base::Writer& out);
// Those that were given, one key=value a line. Free text (keys, commands, names) shows its length.
void list_given(base::Writer& out);
void list_markdown(base::Writer& out);

void reset();  // back to the defaults: for tests

}  // namespace options
