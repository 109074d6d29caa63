// SPDX-License-Identifier: GPL-2.0-or-later
// The line editor as a person uses and abuses it.
#include "console/terminal/line_editor.h"

#include <string>
#include <vector>

#include "console/shell/shell.h"
#include "kernel/base/test.h"
#include "tests/hosted/console/console_script.h"

namespace {

struct Words final : console::Completer {
  std::vector<std::string> words;
  void complete(std::string_view before, console::Candidates& out) override {
    usize space = before.find_last_of(' ');
    out.word_start = space == std::string_view::npos ? 0 : space + 1;
    for (const std::string& word : words)
      if (word.starts_with(before.substr(out.word_start))) out.add(word);
  }
};

// Types `keys` and returns the accepted line; "<why>" when there is none.
std::string typed(ScriptedIo& io, console::History& history,
                  console::Completer* completer = nullptr) {
  console::LineEditor editor(io, history);
  editor.set_completer(completer);
  Result<std::string_view> line = console::read_line(io, editor, "> ");
  return line.has_value() ? std::string(*line) : "<" + std::string(line.error().what) + ">";
}
std::string typed(const std::string& keys) {
  ScriptedIo io(keys);
  console::History history;
  return typed(io, history);
}

constexpr const char* kPasteOn = "\x1b[200~";
constexpr const char* kPasteOff = "\x1b[201~";

}  // namespace

TEST(console_editor, plain_typing_echoes_each_key_once) {
  ScriptedIo io("help\r");
  io.slow = true;
  console::History history;
  EXPECT_EQ(typed(io, history), std::string("help"));
  EXPECT_EQ(io.written, std::string("> help\n"));
}

TEST(console_editor, movement_and_erasing) {
  EXPECT_EQ(typed("abc\x1b[D\x1b[DX\r"), std::string("aXbc"));
  EXPECT_EQ(typed("abc\x1b[HX\x1b[FY\r"), std::string("XabcY"));
  EXPECT_EQ(typed("abc\x01X\x05Y\r"), std::string("XabcY"));
  EXPECT_EQ(typed("abc\x1b[1~\x1b[3~\r"), std::string("bc"));
  EXPECT_EQ(typed("abc\x7f\x7f\r"), std::string("a"));
  EXPECT_EQ(typed("one two three\x17\x17xx\r"), std::string("one xx"));
  EXPECT_EQ(typed("one two\x1b[1;5D\x0b!\r"), std::string("one !"));
  EXPECT_EQ(typed("one two\x15three\r"), std::string("three"));
  EXPECT_EQ(typed("one two\x17\x19\x19\r"), std::string("one twotwo"));
  EXPECT_EQ(typed("ab\x01\x04\r"), std::string("b"));
  EXPECT_EQ(typed("ab\x14\r"), std::string("ba"));
  EXPECT_EQ(typed("a.b\x1b"
                  "bX\r"),
            std::string("a.Xb"));
}

TEST(console_editor, control_c_and_d) {
  EXPECT_EQ(typed("abc\x03"), std::string("<interrupted>"));
  EXPECT_EQ(typed("\x04"), std::string("<end of input>"));
}

TEST(console_editor, utf8_moves_by_character_and_width) {
  EXPECT_EQ(typed("äöü\x1b[D\x7f\r"), std::string("äü"));
  EXPECT_EQ(typed("e\xcc\x81x\x7f\x7f\r"), std::string(""));  // e + combining acute is one
  ScriptedIo io("日本\x1b[Dx");
  io.slow = true;
  console::History history;
  typed(io, history);
  EXPECT(io.written.find("\b\b") != std::string::npos);  // a wide character is two columns
}

TEST(console_editor, broken_utf8_becomes_replacement_characters) {
  EXPECT_EQ(typed("a\xff\xc3(b\r"), std::string("a\xef\xbf\xbd\xef\xbf\xbd(b"));
  EXPECT_EQ(typed("\xe2\x82\r"), std::string("\xef\xbf\xbd"));
  EXPECT_EQ(typed(std::string("a\0b\0\r", 5)), std::string("ab"));
  EXPECT_EQ(typed("a\xc2\x9b"
                  "31mb\r"),
            std::string("a\xef\xbf\xbd"
                        "31mb"));  // C1 CSI
}

TEST(console_editor, escape_garbage_is_swallowed_not_text) {
  EXPECT_EQ(typed("a\x1b[99;99;99;99;99;99;99;99;99;99zb\r"), std::string("ab"));
  EXPECT_EQ(typed("a\x1b]0;title\x07"
                  "b\r"),
            std::string("ab"));
  EXPECT_EQ(typed("a\x1bPq...\x1b\\b\r"), std::string("ab"));
  EXPECT_EQ(typed("a\x1b[\rzzz"), std::string("a"));  // Enter ends a broken sequence and counts
  EXPECT_EQ(typed("a\x1bOQb\r"), std::string("ab"));
  EXPECT_EQ(typed("a\x1b\x1b[Db\r"), std::string("ba"));
}

TEST(console_editor, lone_escape_is_given_up) {
  console::History history;
  ScriptedIo io;
  console::LineEditor editor(io, history);
  editor.start("> ", 80);
  editor.feed(0x1b);
  EXPECT(editor.pending());
  editor.idle();
  EXPECT(!editor.pending());
  editor.feed('a');
  EXPECT_EQ(editor.line(), "a");
}

TEST(console_editor, hundred_kilobytes_at_once) {
  std::string text;
  for (int i = 0; text.size() < 100'000; i++) text += "word" + std::to_string(i) + " ä ";
  ScriptedIo io(text + "\r");
  console::History history;
  EXPECT_EQ(typed(io, history), text);
  EXPECT(io.written.size() < 2000);  // one redraw, not one a byte
  EXPECT(io.widest <= 80);
  ScriptedIo middle("<>\x1b[D" + text + "\r");
  EXPECT_EQ(typed(middle, history), "<" + text + ">");
}

TEST(console_editor, slow_long_line_costs_little_and_stays_in_its_row) {
  std::string text(3000, 'x');
  ScriptedIo io(text + "\r");
  io.slow = true;
  console::History history;
  EXPECT_EQ(typed(io, history), text);
  EXPECT(io.widest <= 80);
  EXPECT(io.written.size() < 3000 * 4);
}

TEST(console_editor, longest_line_is_bounded_and_said) {
  ScriptedIo io(std::string(console::kLongestLine + 10, 'x') + "\r");
  console::History history;
  EXPECT_EQ(typed(io, history).size(), console::kLongestLine);
  EXPECT(io.written.find("was ignored") != std::string::npos);
}

TEST(console_editor, bracketed_paste_keeps_lines_together) {
  std::string paste = std::string(kPasteOn) + "one\r\ntwo\n\x01\x1b[A\tthree" + kPasteOff;
  EXPECT_EQ(typed(paste + "!\r"), std::string("one\ntwo\n\tthree!"));
  // An end that never came: Enter works again after a pause; Ctrl-C works at once.
  console::History history;
  ScriptedIo io;
  console::LineEditor editor(io, history);
  editor.start("> ", 80);
  for (char c : std::string(kPasteOn) + "a\r") editor.feed(static_cast<u8>(c));
  editor.idle();
  EXPECT(editor.feed('\r') == console::LineEditor::Event::kLine);
}

TEST(console_editor, screen_shows_what_the_buffer_holds) {
  ScriptedIo io("hello world\x1b[1;5D\x1b[Dbig ", 40);
  io.slow = true;
  console::History history;
  typed(io, history);
  EXPECT(io.row == U"> hellobig  world");
  EXPECT_EQ(io.column, usize{11});
  ScriptedIo kill("hello world\x01\x1b[C\x0b", 40);
  kill.slow = true;
  typed(kill, history);
  EXPECT(kill.row == U"> h");
}

TEST(console_editor, long_line_scrolls_both_ways) {
  std::string text;
  for (int i = 0; i < 30; i++) text += std::to_string(1000 + i);
  ScriptedIo io(text + "\x01", 40);
  io.slow = true;
  console::History history;
  typed(io, history);
  EXPECT(io.row.starts_with(U"> 100010011002"));
  EXPECT_EQ(io.column, usize{2});
  EXPECT(io.widest <= 40);
}

TEST(console_editor, history_and_draft) {
  console::History history;
  history.add("first");
  history.add("second");
  history.add("second");
  history.add(" secret");
  EXPECT_EQ(history.size(), usize{2});
  ScriptedIo io("dra\x1b[A\x1b[A\x1b[A!\r");
  EXPECT_EQ(typed(io, history), std::string("first!"));
  ScriptedIo back("dra\x1b[A\x1b[Bft\r");
  EXPECT_EQ(typed(back, history), std::string("draft"));
}

TEST(console_editor, history_is_bounded) {
  console::History history;
  for (int i = 0; i < 2000; i++) history.add(std::to_string(i) + std::string(1000, 'x'));
  EXPECT(history.size() <= 262);
  EXPECT(history.line(history.size() - 1).starts_with("1999x"));
}

TEST(console_editor, search) {
  console::History history;
  for (const char* line : {"alpha one", "beta", "alpha two", "gamma"}) history.add(line);
  ScriptedIo io(
      "\x12"
      "alp\r");
  EXPECT_EQ(typed(io, history), std::string("alpha two"));
  ScriptedIo older(
      "\x12"
      "alp\x12\r");
  EXPECT_EQ(typed(older, history), std::string("alpha one"));
  ScriptedIo edited(
      "\x12"
      "bet\x05!\r");
  EXPECT_EQ(typed(edited, history), std::string("beta!"));
  ScriptedIo cancelled(
      "draft\x12"
      "bet\x03\r");
  EXPECT_EQ(typed(cancelled, history), std::string("draft"));
  ScriptedIo none(
      "\x12"
      "zzz");
  none.slow = true;
  typed(none, history);
  EXPECT(none.row.starts_with(U"(not found: zzz)"));
}

TEST(console_editor, completion) {
  Words words;
  words.words = {"perf", "perplexity", "poweroff", "status"};
  console::History history;
  ScriptedIo io("st\tx\r");
  EXPECT_EQ(typed(io, history, &words), std::string("status x"));
  ScriptedIo prefix("pe\tf\r");
  EXPECT_EQ(typed(prefix, history, &words), std::string("perf"));
  ScriptedIo list("pe\t\t\r");
  EXPECT_EQ(typed(list, history, &words), std::string("per"));
  EXPECT(list.written.find("perf        perplexity") != std::string::npos);
  ScriptedIo once("per\t\r");
  typed(once, history, &words);
  EXPECT(once.written.find("perplexity") == std::string::npos);
  ScriptedIo none("zz\t\r");
  EXPECT_EQ(typed(none, history, &words), std::string("zz"));
  EXPECT(none.written.find('\a') != std::string::npos);
}

// A log line in the middle of typing: it stands alone on its row, the edited line below it.
TEST(console_editor, a_line_from_elsewhere_moves_the_edited_one_down) {
  class Disturbed final : public ScriptedIo {
   public:
    using ScriptedIo::ScriptedIo;
    int read_until(u64 deadline_ns) override {
      if (written.ends_with("abc") && !disturbed_) {
        owned_while_typing = owned_;
        disturbed_ = lost_ = true;
        write("\r\x1b[K[ 1.0] usb: unplugged\n");
        type("d\r");
        return -1;
      }
      return ScriptedIo::read_until(deadline_ns);
    }
    void own_row(bool on) override { owned_ = on; }
    bool row_lost() override { return std::exchange(lost_, false); }
    bool owned_while_typing = false;
    bool owned() const { return owned_; }

   private:
    bool disturbed_ = false, lost_ = false, owned_ = false;
  };
  console::History history;
  Disturbed io("abc");
  EXPECT_EQ(typed(io, history), std::string("abcd"));
  EXPECT(io.owned_while_typing);
  EXPECT(!io.owned());
  usize notice = io.written.find("unplugged\n");
  REQUIRE(notice != std::string::npos);
  EXPECT(io.written.find("> abc", notice) != std::string::npos);
}
