// SPDX-License-Identifier: GPL-2.0-or-later
// Scan codes of a US keyboard, sets 1 and 2, as the bytes a terminal would send.
#include <string>
#include <vector>

#include "drivers/input/scancode.h"
#include "kernel/base/test.h"
#include "kernel/dev/power.h"

namespace {

using input::ScancodeDecoder;
using input::ScancodeSet;

std::string keys(ScancodeDecoder& decoder, const std::vector<u8>& codes) {
  std::string text;
  for (u8 code : codes)
    for (char c : decoder.feed(code).bytes) text += c;
  return text;
}
std::string set1(const std::vector<u8>& codes) {
  ScancodeDecoder decoder(ScancodeSet::kSet1);
  return keys(decoder, codes);
}

}  // namespace

TEST(display_keyboard, letters_and_modifiers) {
  EXPECT_EQ(set1({0x1e, 0x9e}), std::string("a"));
  EXPECT_EQ(set1({0x2a, 0x1e, 0x9e, 0xaa, 0x1e}), std::string("Aa"));
  EXPECT_EQ(set1({0x3a, 0xba, 0x1e, 0x2a, 0x1e, 0xaa, 0x02}), std::string("Aa1"));
  EXPECT_EQ(set1({0x1d, 0x2e, 0xae, 0x9d, 0x2e}), std::string("\x03"
                                                              "c"));
  EXPECT_EQ(set1({0xe0, 0x1d, 0x1e, 0xe0, 0x9d}), std::string("\x01"));
  EXPECT_EQ(set1({0x38, 0x30, 0xb8}), std::string("\x1b"
                                                  "b"));
  EXPECT_EQ(set1({0x2a, 0x28, 0xaa, 0x28}), std::string("\"'"));
  EXPECT_EQ(set1({0x1c, 0x0e, 0x0f, 0x01, 0x39}), std::string("\r\x7f\t\x1b "));
  EXPECT_EQ(set1({0x2b, 0x35, 0x29}), std::string("\\/`"));
}

TEST(display_keyboard, arrows_and_keypad) {
  EXPECT_EQ(set1({0xe0, 0x48, 0xe0, 0xc8, 0xe0, 0x53}), std::string("\x1b[A\x1b[3~"));
  EXPECT_EQ(set1({0x1d, 0xe0, 0x4d}), std::string("\x1b[1;5C"));
  EXPECT_EQ(set1({0x48}), std::string("8"));  // NumLock is on at the start
  EXPECT_EQ(set1({0x45, 0x48}), std::string("\x1b[A"));
  EXPECT_EQ(set1({0xe0, 0x35, 0xe0, 0x1c}), std::string("/\r"));
  EXPECT_EQ(set1({0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5, 0x1e}), std::string("a"));  // Pause
  EXPECT_EQ(set1({0xe0, 0x2a, 0xe0, 0x4b}), std::string("\x1b[D"));  // make-up shift is no shift
  EXPECT_EQ(set1({0xfa, 0x00, 0xff, 0x1e}), std::string("a"));
}

TEST(display_keyboard, shift_page_scrolls_the_screen) {
  ScancodeDecoder decoder(ScancodeSet::kSet1);
  decoder.feed(0x2a);
  decoder.feed(0xe0);
  input::KeyPress up = decoder.feed(0x49);
  EXPECT_EQ(up.scroll, 1);
  EXPECT(up.bytes.empty());
  decoder.feed(0xaa);
  decoder.feed(0xe0);
  EXPECT_EQ(decoder.feed(0x51).bytes.size(), usize{4});
}

TEST(display_keyboard, control_alt_delete_asks_for_a_restart) {
  ScancodeDecoder decoder(ScancodeSet::kSet1);
  decoder.feed(0x1d);
  decoder.feed(0x38);
  decoder.feed(0xe0);
  input::KeyPress press = decoder.feed(0x53);
  EXPECT(press.restart && press.bytes.empty());
  decoder.feed(0xb8);
  decoder.feed(0xe0);
  press = decoder.feed(0x53);
  EXPECT(!press.restart && !press.bytes.empty());
}

TEST(power, a_restart_is_asked_for_twice) {
  constexpr u64 kSecond = 1'000'000'000;
  power::Twice twice;
  EXPECT(!twice.again(kSecond));
  EXPECT(twice.again(3 * kSecond));
  EXPECT(!twice.again(4 * kSecond));
  EXPECT(!twice.again(30 * kSecond));  // too late: the first of a new pair
  EXPECT(twice.again(31 * kSecond));
}

TEST(display_keyboard, set_two) {
  ScancodeDecoder decoder(ScancodeSet::kSet2);
  EXPECT_EQ(keys(decoder, {0x1c, 0xf0, 0x1c, 0x12, 0x1c, 0xf0, 0x12, 0x32}), std::string("aAb"));
  EXPECT_EQ(keys(decoder, {0xe0, 0x75, 0xe0, 0xf0, 0x75, 0x5a}), std::string("\x1b[A\r"));
  EXPECT_EQ(keys(decoder, {0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77, 0x16}),
            std::string("1"));
}
