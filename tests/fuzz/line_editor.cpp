// SPDX-License-Identifier: GPL-2.0-or-later
// The line editor fed with anything a serial line can carry: it keeps valid UTF-8, stays inside
// its row, and Enter always gets through.
#include "console/terminal/line_editor.h"

#include "kernel/base/utf8.h"
#include "tests/hosted/console/console_script.h"

namespace {

struct Words final : console::Completer {
  void complete(std::string_view before, console::Candidates& out) override {
    out.word_start = before.size() - std::min<usize>(before.size(), 1);
    for (std::string_view word : {"aa", "ab", "äb", "äc"})
      if (word.starts_with(before.substr(out.word_start))) out.add(word);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  ScriptedIo io("", 40);
  console::History history;
  Words words;
  history.add("older line");
  history.add("日本語 text");
  console::LineEditor editor(io, history);
  editor.set_completer(&words);
  editor.start("> ", 40);
  for (usize i = 0; i < size; i++) {
    auto event = data[i] == 0xf8 ? editor.idle() : editor.feed(data[i]);
    if (i % 3 == 0) editor.refresh();
    if (event == console::LineEditor::Event::kNone) continue;
    ASSERT(utf8::valid(editor.line()));
    if (event == console::LineEditor::Event::kLine) history.add(editor.line());
    editor.start("> ", 40);
  }
  editor.idle();
  editor.idle();
  ASSERT(editor.feed('\r') == console::LineEditor::Event::kLine);
  ASSERT(utf8::valid(editor.line()));
  return 0;
}
