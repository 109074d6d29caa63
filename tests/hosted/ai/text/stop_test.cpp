// SPDX-License-Identifier: GPL-2.0-or-later
// Stop strings and whole characters over every way of cutting a text.
#include "ai/text/stop.h"

#include <string>
#include <vector>

#include "ai/text/utf8_stream.h"
#include "arch/host/memory.h"
#include "kernel/base/test.h"
#include "kernel/base/utf8.h"

namespace {

std::string taken(Vector<char>& out) {
  std::string text(out.data(), out.size());
  out.clear();
  return text;
}

// Returns the output when `text` is fed in pieces of `piece` bytes; "|" marks a stop.
std::string stopped(std::vector<std::string_view> strings, std::string_view text, usize piece) {
  auto stop = ai::StopStrings::create(strings);
  if (!stop.has_value()) return "error";
  Vector<char> out;
  bool done = false;
  for (usize at = 0; at < text.size() && !done; at += piece)
    done = stop->feed(text.substr(at, piece), out).value();
  if (!done) (void)stop->finish(out);
  return taken(out) + (done ? "|" : "");
}

std::string characters(std::string_view bytes, usize piece) {
  ai::Utf8Stream stream;
  Vector<char> out;
  for (usize at = 0; at < bytes.size(); at += piece)
    (void)stream.feed(bytes.substr(at, piece), out);
  (void)stream.finish(out);
  return taken(out);
}

}  // namespace

TEST(stop, text_before_the_string_comes_out_however_cut) {
  for (usize piece = 1; piece <= 12; piece++) {
    EXPECT_EQ(stopped({"END"}, "one EN two END three", piece), std::string("one EN two |"));
    EXPECT_EQ(stopped({"END"}, "one EN", piece), std::string("one EN"));
    EXPECT_EQ(stopped({}, "anything", piece), std::string("anything"));
    EXPECT_EQ(stopped({"aab"}, "aaaaab!", piece), std::string("aaa|"));
    EXPECT_EQ(stopped({"abab!"}, "abababab!", piece), std::string("abab|"));
    EXPECT_EQ(stopped({"abcd", "bc"}, "xabcd", piece), std::string("xa|"));
    EXPECT_EQ(stopped({"bcd", "abcd"}, "xabcd", piece), std::string("x|"));
    EXPECT_EQ(stopped({"x"}, "x", piece), std::string("|"));
    EXPECT_EQ(stopped({"é\n"}, "caf\xc3\xa9 \xc3\xa9\n", piece), std::string("caf\xc3\xa9 |"));
  }
}

TEST(stop, nothing_that_may_be_a_stop_string_is_let_out_early) {
  std::string_view strings[] = {"<|im_end|>"};
  auto stop = ai::StopStrings::create(strings);
  REQUIRE(stop.has_value());
  Vector<char> out;
  EXPECT(!stop->feed("hi<|im", out).value());
  EXPECT_EQ(taken(out), std::string("hi"));
  EXPECT(!stop->feed("_ex", out).value());
  EXPECT_EQ(taken(out), std::string("<|im_ex"));
  EXPECT(!stop->feed("<|im_end|", out).value());
  EXPECT_EQ(taken(out), std::string(""));
  EXPECT(stop->feed(">more", out).value());
  EXPECT_EQ(taken(out), std::string(""));
}

TEST(stop, tells_which_string_it_was) {
  std::string_view strings[] = {"bc", "abcd", "zz"};
  for (auto [text, index] : {std::pair("xabcd", 0u), std::pair("yzz", 2u)}) {
    auto stop = ai::StopStrings::create(strings);
    REQUIRE(stop.has_value());
    Vector<char> out;
    EXPECT(stop->feed(text, out).value());
    EXPECT_EQ(stop->completed(), index);
  }
  std::string_view ends_alike[] = {"cd", "abcd"};  // of two the longer
  auto stop = ai::StopStrings::create(ends_alike);
  REQUIRE(stop.has_value());
  Vector<char> out;
  EXPECT(stop->feed("abcd", out).value());
  EXPECT_EQ(stop->completed(), 1u);
}

TEST(stop, bad_strings_are_errors) {
  std::string_view empty[] = {"a", ""};
  EXPECT(!ai::StopStrings::create(empty).has_value());
  std::vector<std::string_view> many(17, "a");
  EXPECT(!ai::StopStrings::create(many).has_value());
  std::string long_text(1025, 'a');
  std::string_view too_long[] = {long_text};
  EXPECT(!ai::StopStrings::create(too_long).has_value());
}

TEST(stop, random_texts_as_a_plain_search_says) {
  u32 state = 1;
  auto random = [&](u32 below) {
    state = state * 1664525 + 1013904223;
    return (state >> 16) % below;
  };
  for (int round = 0; round < 3000; round++) {
    std::string text, a, b;
    for (u32 i = random(40); i > 0; i--) text += static_cast<char>('a' + random(2));
    for (u32 i = 1 + random(5); i > 0; i--) a += static_cast<char>('a' + random(2));
    for (u32 i = 1 + random(5); i > 0; i--) b += static_cast<char>('a' + random(2));
    // The first end of a match wins; at one end the longer string.
    usize best_end = std::string::npos, best_start = 0;
    for (const std::string& s : {a, b}) {
      usize at = text.find(s);
      if (at == std::string::npos) continue;
      usize end = at + s.size();
      if (best_end == std::string::npos || end < best_end || (end == best_end && at < best_start))
        best_end = end, best_start = at;
    }
    std::string wanted = best_end == std::string::npos ? text : text.substr(0, best_start) + "|";
    EXPECT_EQ(stopped({a, b}, text, 1 + random(7)), wanted);
  }
}

TEST(stop, feeding_allocates_nothing_after_the_beginning) {
  std::string_view strings[] = {"aaab", "abab"};
  auto stop = ai::StopStrings::create(strings);
  REQUIRE(stop.has_value());
  Vector<char> out;
  REQUIRE(out.reserve(64).has_value());
  u64 before = host::allocation_count();
  for (int i = 0; i < 100; i++) {
    (void)stop->feed("aaaaaaaaaaaa", out);
    out.clear();
  }
  EXPECT_EQ(host::allocation_count(), before);
}

TEST(stop, utf8_whole_characters_however_cut) {
  std::string_view text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
  for (usize piece = 1; piece <= 11; piece++) EXPECT_EQ(characters(text, piece), std::string(text));
  ai::Utf8Stream stream;
  Vector<char> out;
  REQUIRE(stream.feed("\xf0\x9f\x98", out).has_value());
  EXPECT(out.empty());
  EXPECT(stream.holds());
  REQUIRE(stream.feed("\x80", out).has_value());
  EXPECT_EQ(taken(out), std::string("\xf0\x9f\x98\x80"));
}

TEST(stop, utf8_what_is_no_character_is_replaced) {
  EXPECT_EQ(characters("\xff", 1), std::string("\xef\xbf\xbd"));
  EXPECT_EQ(characters("a\xe2\x82", 1), std::string("a\xef\xbf\xbd"));
  EXPECT_EQ(characters("\xe2\x82z", 2), std::string("\xef\xbf\xbdz"));
  EXPECT_EQ(characters("\xf0\x9f\xc3\xa9", 3), std::string("\xef\xbf\xbd\xc3\xa9"));
  u32 state = 7;
  for (int round = 0; round < 2000; round++) {
    std::string bytes;
    for (u32 i = 0; i < round % 23u; i++) {
      state = state * 1664525 + 1013904223;
      bytes += static_cast<char>((state >> 24) | 0x80 * (state >> 20 & 1));
    }
    std::string whole = characters(bytes, 100);
    EXPECT(utf8::valid(whole));
    EXPECT_EQ(characters(bytes, 1), whole);
    EXPECT(whole.size() <= ai::Utf8Stream::most_out(bytes.size()));
  }
}
