// SPDX-License-Identifier: GPL-2.0-or-later
// The text of the command `report`, for who puts it into a file. For threads of CPU 0.
#pragma once

#include <span>

#include "kernel/base/format.h"

namespace console {

enum class Takes : u8 { kNoTime, kTime };  // kTime: waits for disks, or works for seconds

// Writes the parts that take no longer than `most`. No prompts, no answers, no keys.
void write_report(base::Writer& out, Takes most);

// Writes what a command prints below a heading, with the error that it ends with. Nothing where
// there is no such command: the twin has no buses and no firmware of its own.
void write_command(std::span<const std::string_view> words, base::Writer& out);

}  // namespace console
