// SPDX-License-Identifier: GPL-2.0-or-later
// A scripted terminal: typed bytes in, everything written kept, and a model of the screen's last
// row so that tests can say what a person would see.
#pragma once

#include <string>

#include "console/shell/shell.h"
#include "kernel/base/text_width.h"

class ScriptedIo : public console::Io {
 public:
  explicit ScriptedIo(std::string input = "", u32 width = 80)
      : input_(std::move(input)), width_(width) {}

  void write(std::string_view text) override {
    written.append(text);
    for (char c : text) screen(c);
  }
  // A bell-free model of time: a wait that finds nothing takes as long as it was told to.
  int read_until(u64 deadline_ns) override {
    if (at_ < input_.size() && !(deadline_ns == 0 && slow)) return static_cast<u8>(input_[at_++]);
    if (deadline_ns != ~u64{0} && deadline_ns > now_) now_ = deadline_ns;
    return -1;
  }
  bool interrupted() override { return interrupt_at != 0 && --interrupt_at == 0; }
  u32 columns() override { return width_; }
  u64 now_ns() override { return now_; }
  void type(std::string_view more) { input_.append(more); }
  bool drained() const { return at_ == input_.size(); }

  std::string written;
  std::u32string row;    // of the screen's present line
  usize column = 0;      // of its cursor, in characters (tests use narrow ones there)
  usize widest = 0;      // farthest column ever written
  u32 interrupt_at = 0;  // the n-th interrupted() says yes
  bool slow = false;     // bytes come one at a time, as on a serial line

 private:
  void screen(char c) {
    if (!escape_.empty()) {
      escape_ += c;
      if (escape_.size() > 1 && escape_[1] != '[') escape_.clear();
      if (escape_.size() > 2 && c >= 0x40 && c <= 0x7e) {
        usize n = escape_.size() > 3 ? static_cast<usize>(std::atoi(escape_.c_str() + 2)) : 1;
        if (c == 'C') column += n;
        if (c == 'K') row.resize(std::min(row.size(), column));
        escape_.clear();
      }
      return;
    }
    if (c == '\x1b') {
      escape_ = c;
    } else if (c == '\n') {
      row.clear();
      column = 0;
    } else if (c == '\r') {
      column = 0;
    } else if (c == '\b') {
      column -= column > 0 ? 1 : 0;
    } else if (static_cast<u8>(c) >= 0x20) {
      auto out = utf8_.feed(static_cast<u8>(c));
      for (u32 i = 0; i < out.count; i++) {
        if (row.size() <= column) row.resize(column + 1, U' ');
        row[column++] = out.codes[i];
        widest = std::max(widest, column);
      }
    }
  }

  std::string input_;
  usize at_ = 0;
  u32 width_;
  u64 now_ = 0;
  std::string escape_;
  base::Utf8Assembler utf8_;
};

// Runs a line of commands on a scripted terminal: what was written, and how many commands failed.
struct ScriptedRun {
  std::string text;
  u32 failed = 0;
  bool says(std::string_view part) const { return text.find(part) != std::string::npos; }
};
inline ScriptedRun run_commands(std::string_view line) {
  ScriptedIo io;
  console::set_io(&io);
  console::Shell shell(io);
  u32 failed = shell.run(line).failed;
  console::set_io(nullptr);
  return {io.written, failed};
}
