// SPDX-License-Identifier: GPL-2.0-or-later
// One editable line on a terminal: takes keys and writes as few escape sequences as possible.
//
// A line longer than the screen scrolls sideways in one row, so a terminal that is wider than
// assumed does no harm. Nothing is drawn until refresh(): the caller reads all input that has
// arrived first, so a paste of 100 kB costs one redraw.
#pragma once

#include "console/terminal/edit_buffer.h"
#include "console/terminal/history.h"
#include "console/terminal/key_decoder.h"
#include "kernel/base/format.h"

namespace console {

// The completions that Tab offers for the word left of the cursor.
class Candidates {
 public:
  usize word_start = 0;  // byte offset in the text left of the cursor
  void add(std::string_view text);
  void finish();  // sorts them and removes repeats
  std::span<const String> list() const { return list_.view(); }
  std::string_view common_prefix() const;

 private:
  Vector<String> list_;
};

class Completer {
 public:
  // Fills `out` for the text left of the cursor.
  virtual void complete(std::string_view before, Candidates& out) = 0;

 protected:
  ~Completer() = default;
};

class LineEditor {
 public:
  enum class Event : u8 { kNone, kLine, kInterrupt, kEndOfInput };

  LineEditor(base::Writer& out, History& history) : out_(out), history_(history) {}
  void set_completer(Completer* completer) { completer_ = completer; }

  // Begins an empty line after `prompt` (which must outlive it) on a terminal that is `columns`
  // wide.
  void start(std::string_view prompt, u32 columns);
  Event feed(u8 byte);
  Event idle();  // see KeyDecoder
  bool pending() const { return keys_.pending(); }
  u64 patience_ns() const { return keys_.patience_ns(); }

  void refresh();
  void redraw();  // draws the whole row, after something else was written over it
  std::string_view line() { return buffer_.text(); }
  bool overflowed() const { return overflowed_; }  // the line was longer than kLongestLine

 private:
  enum class Listing : u8 { kNo, kYes };
  Event handle(const KeyDecoder::Events& events);
  Event press(const KeyEvent& event);
  bool edit(Key key);  // returns false if it is no editing key
  void insert(u32 code);
  void browse(bool older);
  void show_history(usize index);
  void begin_search();
  // returns false if the search is over; the key is then handled as usual
  bool search_key(const KeyEvent& event);
  void search_again(usize below);
  void complete(Listing listing);
  void list_candidates(std::span<const String> list);
  Event finish(Event event);

  Result<void> compose(String& row, u32& cursor) const;
  Result<void> compose_line(String& row, u32& cursor) const;
  void scroll_window();
  void move_to(u32 column);

  base::Writer& out_;
  History& history_;
  Completer* completer_ = nullptr;
  KeyDecoder keys_;
  EditBuffer buffer_;
  std::string_view prompt_;
  u32 columns_ = 80;
  usize window_ = 0;  // first shown byte of buffer_.before()

  usize browsed_ = 0;  // index into the history; its size() stands for the line being typed
  String draft_;       // the typed line, while older ones are shown
  bool searching_ = false;
  bool found_ = true;
  String query_;
  usize match_ = 0;

  bool last_was_tab_ = false;
  bool overflowed_ = false;
  String shown_;          // what the screen's row shows
  u32 shown_cursor_ = 0;  // column
};

}  // namespace console
