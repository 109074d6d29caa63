// SPDX-License-Identifier: GPL-2.0-or-later
// Boot command lines, configuration files and shell lines of any bytes.
#include "console/shell/command_line.h"

#include <vector>

#include "kernel/options.h"

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  options::reset();
  options::parse_command_line(text);
  options::parse_file(text);
  char reason[64];
  base::BufferWriter why(reason);
  (void)options::judge(text, why);
  std::vector<char> room(size + 1);
  console::CommandReader reader(text, room);
  usize words = 0;
  while (reader.next_command()) {
    for (;;) {
      Result<console::Word> word = reader.next_word();
      if (!word.has_value()) {
        ASSERT(word.error().code != Errc::kFull);  // a line's own length is always room enough
        break;
      }
      ASSERT(word->start <= word->end && word->end <= size);
      ASSERT(reader.raw_from(word->end).size() <= size);
      if (++words > 1000) return 0;
    }
  }
  return 0;
}
