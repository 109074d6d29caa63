// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel log: a ring of lines for `dmesg` and the panic screen, echoed to the console.
//
// log::warn("nvme", "queue {} timed out after {} ms", id, ms): a subsystem, then a sentence in
// lower case with units. May be called from any context; never allocates.
#pragma once

#include "kernel/base/format.h"

namespace log {

// someone must act; we coped; once per boot or command; off
enum class Level : u8 { kError, kWarn, kInfo, kDebug };

void write(Level level, std::string_view subsystem, std::string_view format,
           std::span<const base::FormatArg> args);

// Sets the level from which lines are echoed to the console as they come (option `log=`).
void set_echo(Level level);

// Lines of CPUs other than 0 are only kept, because the console's devices belong to CPU 0. The
// watchdog changes that while it reports that CPU 0 itself is stuck.
void set_echo_from_any_cpu(bool on);

// Writes the last `count` lines, oldest first.
void replay(base::Writer& out, u32 count);

#define LOG_LEVEL_FUNCTION(name, level)                                                 \
  template <class... Args>                                                              \
  void name(std::string_view subsystem, std::string_view format, const Args&... args) { \
    if constexpr (sizeof...(Args) == 0) {                                               \
      write(Level::level, subsystem, format, {});                                       \
    } else {                                                                            \
      const base::FormatArg packed[] = {base::FormatArg(args)...};                      \
      write(Level::level, subsystem, format, packed);                                   \
    }                                                                                   \
  }
LOG_LEVEL_FUNCTION(error, kError)
LOG_LEVEL_FUNCTION(warn, kWarn)
LOG_LEVEL_FUNCTION(info, kInfo)
LOG_LEVEL_FUNCTION(debug, kDebug)
#undef LOG_LEVEL_FUNCTION

}  // namespace log
