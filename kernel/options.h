// SPDX-License-Identifier: GPL-2.0-or-later
// Boot options: one row per option gives the parser, `help boot` and the wiki page.
//
// Sources, of which later ones win: defaults, /marrow.cfg (key=value on each line, # comments), and
// the boot command line (key=value or a bare flag, "quoted values" with spaces). Unknown keys log a
// warning with the nearest known one. For threads of the boot CPU; works before the heap does.
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
  const char* values;           // kNumber: "0..64"; kChoice: "a|b|c"; kText: a description ("PATH")
  const char* help;             // one line, lower case
  const char* alias = nullptr;  // another system's name for it ("zosia.perf")
};

REGISTRY(kernel_options, Option)
#define KERNEL_OPTION(row) REGISTER_ROW(kernel_options, row)

namespace options {

// These log what is wrong and return nothing, because a bad option never stops a boot. A file never
// overrides the command line, whichever is read first.
void parse_command_line(std::string_view text);
void parse_file(std::string_view text);
// Checks one key=value or flag, writes what is wrong to `why`, and sets nothing. A machine boots
// with a warning; a program that is given such an argument does not start.
Result<void> judge(std::string_view argument, base::Writer& why);

bool flag(const Option& option);
u64 number(const Option& option);
std::string_view text(const Option& option);
bool given(const Option& option);  // a file or the command line has set it

// Prints every option by key: its values, default and meaning, and its present value if it was
// given.
void list(base::Writer& out);
// Prints the options that were given, one key=value a line. Of free text (keys, commands, names) it
// prints only the length.
void list_given(base::Writer& out);
void list_markdown(base::Writer& out);

void reset();  // sets everything back to the defaults; for tests

}  // namespace options
