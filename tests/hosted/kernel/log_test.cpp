// SPDX-License-Identifier: GPL-2.0-or-later
// The log ring: order, cutting, wrapping.
#include "kernel/log.h"

#include "kernel/base/test.h"

namespace {

std::string_view replayed(std::span<char> buffer, u32 count) {
  base::BufferWriter out(buffer);
  log::replay(out, count);
  return out.view();
}

}  // namespace

TEST(log, keeps_lines_in_order_with_subsystem_and_level) {
  log::info("nvme", "queue {} of {}", 3, 8);
  log::debug("net", "link up");
  char buffer[512];
  std::string_view text = replayed(buffer, 2);
  usize first = text.find("] nvme: queue 3 of 8\n");
  usize second = text.find("] net: link up\n");
  EXPECT(first != std::string_view::npos && second != std::string_view::npos && first < second);
}

TEST(log, cuts_a_long_line_and_ends_it) {
  char long_text[1000];
  std::memset(long_text, 'x', sizeof long_text);
  log::info("test", "{}", std::string_view(long_text, sizeof long_text));
  char buffer[1200];
  std::string_view text = replayed(buffer, 1);
  EXPECT(text.size() > 200 && text.size() < 300);
  EXPECT(text.ends_with("xx\n"));
}

TEST(log, the_ring_forgets_the_oldest) {
  for (u32 i = 0; i < 2000; i++) log::info("ring", "line {}", i);
  static char buffer[64 * 1024];
  std::string_view text = replayed(buffer, ~u32{0});
  EXPECT(text.find("line 1999\n") != std::string_view::npos);
  EXPECT(text.find("line 1000\n") == std::string_view::npos);
  EXPECT(replayed(buffer, 1).find("line 1999\n") != std::string_view::npos);
}
