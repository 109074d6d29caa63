// SPDX-License-Identifier: GPL-2.0-or-later
// Implements finding and running commands, reading lines, and completing words.
#include "console/shell/shell.h"

#include "console/shell/command_line.h"
#include "kernel/base/nearest.h"
#include "kernel/base/text.h"
#include "kernel/trace.h"

namespace console {
namespace {

constinit Verdict verdict;
constinit History* shell_history = nullptr;

void say_unknown(std::string_view name, base::Writer& out) {
  base::Nearest nearest(name);
  for (const Command* row : console_commands_rows()) nearest.consider(row->name);
  bool long_name = name.size() > 40;
  base::format_to(out, "unknown command '{}{}'", name.substr(0, 40), long_name ? "…" : "");
  if (nearest.best().empty()) {
    out.write(": type help for the list\n");
  } else {
    base::format_to(out, ": did you mean '{}'?\n", nearest.best());
  }
}

// Reports an error. A command that was given wrong words also shows its usage.
void report(std::string_view name, const Error& error, base::Writer& out) {
  std::string_view what = error.what;
  const Command* command = name.empty() ? nullptr : find_command(name);
  bool is_usage = command != nullptr && what.starts_with(command->name);
  if (!what.empty() && !is_usage) base::format_to(out, "{}: {}\n", name, error);
  if (command != nullptr && (is_usage || error.code == Errc::kInvalidArgument))
    base::format_to(out, "usage: {}\n", command->usage);
}

// Saves the current sequence, so that a sequence inside a sequence restores it at its end.
class Running {
 public:
  explicit Running(History& history) : verdict_(verdict), history_(shell_history) {
    verdict = {};
    shell_history = &history;
  }
  ~Running() {
    verdict = verdict_;
    shell_history = history_;
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  Verdict verdict_;
  History* history_;
};

}  // namespace

const Command* find_command(std::string_view name) {
  if (name.size() > 1 && name.front() == '/') name.remove_prefix(1);
  for (const Command* row : console_commands_rows())
    if (base::equal_ignoring_case(name, row->name)) return row;
  return nullptr;
}

const Command* next_command(const Command* last) {
  const Command* best = nullptr;
  for (const Command* row : console_commands_rows()) {
    std::string_view name = row->name;
    if (last != nullptr && name <= std::string_view(last->name)) continue;
    if (best == nullptr || name < std::string_view(best->name)) best = row;
  }
  return best;
}

const Verdict& current_verdict() {
  return verdict;
}

History* current_history() {
  return shell_history;
}

Result<std::string_view> read_line(Io& io, LineEditor& editor, std::string_view prompt) {
  struct Row {
    Io& io;
    explicit Row(Io& i) : io(i) { io.own_row(true); }
    ~Row() { io.own_row(false); }
  } row(io);
  editor.start(prompt, io.columns());
  editor.refresh();
  for (;;) {
    // Takes all input that is there before the row is drawn again.
    int byte = io.read_until(0);
    LineEditor::Event event = LineEditor::Event::kNone;
    if (byte < 0) {
      editor.refresh();
      u64 patience = editor.pending() ? io.now_ns() + editor.patience_ns() : ~u64{0};
      byte = io.read_until(patience);
      if (byte < 0 && io.row_lost()) {
        editor.redraw();
        continue;
      }
      if (byte < 0 && !editor.pending()) return fail(Errc::kNotFound, "no more input");
      if (byte < 0) event = editor.idle();
    }
    if (byte >= 0) event = editor.feed(static_cast<u8>(byte));
    if (event == LineEditor::Event::kInterrupt) return fail(Errc::kCancelled, "interrupted");
    if (event == LineEditor::Event::kEndOfInput) return fail(Errc::kNotFound, "end of input");
    if (event == LineEditor::Event::kLine) {
      if (editor.overflowed())
        base::format_to(io, "the line was longer than {} KiB: its rest was ignored\n",
                        kLongestLine / kKiB);
      return editor.line();
    }
  }
}

Verdict Shell::run(std::string_view sequence) {
  Running scope(history_);
  Vector<char> room;
  Vector<std::string_view> words;
  if (!room.resize(sequence.size() + 1).has_value()) {
    io_.write("out of memory\n");
    return {1, 1};
  }
  CommandReader reader(sequence, room.view());
  while (reader.next_command()) {
    words.clear();
    verdict.commands++;
    Result<void> done;
    usize name_end = 0;
    for (;;) {
      Result<Word> word = reader.next_word();
      if (!word.has_value()) {
        if (word.error().code != Errc::kNotFound) done = std::unexpected(word.error());
        break;
      }
      if (words.empty()) name_end = word->end;
      done = words.push_back(word->text);
      if (!done.has_value()) break;
    }
    std::string_view name = words.empty() ? "" : words[0];
    if (done.has_value()) done = run_command({words.view(), reader.raw_from(name_end)});
    if (done.has_value()) continue;
    verdict.failed++;
    report(name, done.error(), io_);
  }
  return verdict;
}

Result<void> Shell::run_command(const Arguments& arguments) {
  const Command* command = find_command(arguments.words[0]);
  if (command == nullptr) {
    say_unknown(arguments.words[0], io_);
    return fail(Errc::kNotFound, "");
  }
  io_.interrupted();  // a Ctrl-C from before is not meant for this command
  trace::Zone zone(command->name);
  return command->run(arguments, io_);
}

bool Shell::prompt() {
  shell_history = &history_;
  Result<std::string_view> line = read_line(io_, editor_, kPrompt);
  if (!line.has_value()) {
    if (line.error().code == Errc::kCancelled) return true;
    io_.write("type poweroff to leave\n");
    return false;
  }
  history_.add(*line);
  Result<String> copy = String::from(*line);  // the command may use the editor, which owns `line`
  if (!copy.has_value()) {
    io_.write("out of memory\n");
    return true;
  }
  run(copy->view());
  return true;
}

void Shell::complete(std::string_view before, Candidates& out) {
  // The command that the cursor is in begins after the last separator. Separators inside quotes are
  // rare enough to ignore here.
  usize start = before.find_last_of(";\n");
  start = start == std::string_view::npos ? 0 : start + 1;
  while (start < before.size() && before[start] == ' ') start++;
  usize word = before.find_last_of(' ');
  word = word == std::string_view::npos || word < start ? start : word + 1;
  out.word_start = word;
  std::string_view part = before.substr(word);
  if (word == start) {
    for (const Command* row : console_commands_rows())
      if (std::string_view(row->name).starts_with(part)) out.add(row->name);
    return;
  }
  std::string_view name = before.substr(start, before.find(' ', start) - start);
  const Command* command = find_command(name);
  if (command == nullptr || command->complete == nullptr) return;
  struct Filter {
    std::string_view part;
    Candidates* out;
  } filter{part, &out};
  command->complete(
      part,
      [](void* context, std::string_view candidate) {
        Filter& f = *static_cast<Filter*>(context);
        if (candidate.starts_with(f.part)) f.out->add(candidate);
      },
      &filter);
}

bool run_panic_safe(std::string_view line, base::Writer& out) {
  char room[256];
  StaticVector<std::string_view, 16> words;
  CommandReader reader(line.substr(0, sizeof room), room);
  if (!reader.next_command()) return false;
  usize name_end = 0;
  for (;;) {
    Result<Word> word = reader.next_word();
    if (!word.has_value() || !words.push_back(word->text)) break;
    if (words.size() == 1) name_end = word->end;
  }
  if (words.empty()) return false;
  const Command* command = find_command(words[0]);
  if (command == nullptr) {
    say_unknown(words[0], out);
    return false;
  }
  if (!command->panic_safe) {
    base::format_to(out, "{} cannot run here; these can:", command->name);
    for (const Command* row = next_command(nullptr); row != nullptr; row = next_command(row))
      if (row->panic_safe) base::format_to(out, " {}", row->name);
    out.write("\n");
    return false;
  }
  Result<void> done = command->run({words.view(), reader.raw_from(name_end)}, out);
  if (!done.has_value()) base::format_to(out, "{}: {}\n", command->name, done.error());
  return true;
}

}  // namespace console
