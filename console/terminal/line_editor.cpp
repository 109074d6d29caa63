// SPDX-License-Identifier: GPL-2.0-or-later
// Implements editing, history, search and completion of one line. line_view.cpp draws it.
#include "console/terminal/line_editor.h"

#include <algorithm>
#include <utility>

namespace console {

void Candidates::add(std::string_view text) {
  Result<String> copy = String::from(text);
  // Out of memory: one candidate fewer is offered.
  if (copy.has_value()) static_cast<void>(list_.push_back(std::move(*copy)));
}

void Candidates::finish() {
  auto before = [](const String& a, const String& b) { return a.view() < b.view(); };
  std::sort(list_.begin(), list_.end(), before);
  usize kept = 0;
  for (usize i = 0; i < list_.size(); i++) {
    if (kept > 0 && list_[kept - 1].view() == list_[i].view()) continue;
    if (kept != i) list_[kept] = std::move(list_[i]);
    kept++;
  }
  list_.truncate(kept);
}

std::string_view Candidates::common_prefix() const {
  if (list_.empty()) return {};
  std::string_view prefix = list_[0].view();
  for (const String& candidate : list_) {
    usize n = 0;
    std::string_view text = candidate.view();
    while (n < prefix.size() && n < text.size() && prefix[n] == text[n]) n++;
    prefix = prefix.substr(0, n);
  }
  // Never cuts a character in half.
  while (!prefix.empty() && prefix.size() < list_[0].size() &&
         (static_cast<u8>(list_[0][prefix.size()]) & 0xc0) == 0x80)
    prefix.remove_suffix(1);
  return prefix;
}

void LineEditor::start(std::string_view prompt, u32 columns) {
  prompt_ = prompt;
  columns_ = std::max(columns, u32{20});
  buffer_.clear();
  window_ = 0;
  browsed_ = history_.size();
  draft_.clear();
  searching_ = last_was_tab_ = overflowed_ = false;
  shown_.clear();
  shown_cursor_ = 0;
}

LineEditor::Event LineEditor::feed(u8 byte) {
  return handle(keys_.feed(byte));
}

LineEditor::Event LineEditor::idle() {
  return handle(keys_.idle());
}

LineEditor::Event LineEditor::handle(const KeyDecoder::Events& events) {
  for (const KeyEvent& event : events) {
    Event result = press(event);
    if (result != Event::kNone) return result;
  }
  return Event::kNone;
}

LineEditor::Event LineEditor::press(const KeyEvent& event) {
  if (searching_ && search_key(event)) return Event::kNone;
  bool tab_again = std::exchange(last_was_tab_, event.key == Key::kTab);
  switch (event.key) {
    case Key::kEnter:
      return finish(Event::kLine);
    case Key::kInterrupt:
      return finish(Event::kInterrupt);
    case Key::kEndOfInput:
      if (buffer_.empty()) return finish(Event::kEndOfInput);
      buffer_.erase_right();
      return Event::kNone;
    case Key::kTab:
      complete(tab_again ? Listing::kYes : Listing::kNo);
      return Event::kNone;
    case Key::kText:
      insert(event.code);
      return Event::kNone;
    case Key::kUp:
    case Key::kDown:
      browse(event.key == Key::kUp);
      return Event::kNone;
    case Key::kSearch:
      begin_search();
      return Event::kNone;
    case Key::kClearScreen:
      out_.write("\x1b[H\x1b[2J");
      shown_.clear();
      shown_cursor_ = 0;
      return Event::kNone;
    default:
      edit(event.key);
      return Event::kNone;
  }
}

bool LineEditor::edit(Key key) {
  struct Row {
    Key key;
    void (*apply)(EditBuffer& buffer);
  };
  static constexpr Row kRows[] = {
      {Key::kBackspace, [](EditBuffer& b) { b.erase_left(); }},
      {Key::kDelete, [](EditBuffer& b) { b.erase_right(); }},
      {Key::kLeft, [](EditBuffer& b) { b.left(); }},
      {Key::kRight, [](EditBuffer& b) { b.right(); }},
      {Key::kHome, [](EditBuffer& b) { b.home(); }},
      {Key::kEnd, [](EditBuffer& b) { b.end(); }},
      {Key::kWordLeft, [](EditBuffer& b) { b.word_left(); }},
      {Key::kWordRight, [](EditBuffer& b) { b.word_right(); }},
      {Key::kKillToEnd, [](EditBuffer& b) { b.kill_to_end(); }},
      {Key::kKillToStart, [](EditBuffer& b) { b.kill_to_start(); }},
      {Key::kKillWordLeft, [](EditBuffer& b) { b.kill_word_left(); }},
      {Key::kKillWordRight, [](EditBuffer& b) { b.kill_word_right(); }},
      {Key::kYank, [](EditBuffer& b) { static_cast<void>(b.yank()); }},
      {Key::kSwap, [](EditBuffer& b) { b.swap(); }},
  };
  for (const Row& row : kRows) {
    if (row.key != key) continue;
    row.apply(buffer_);
    return true;
  }
  return false;
}

void LineEditor::insert(u32 code) {
  if (buffer_.insert(code).has_value()) return;
  if (!overflowed_) out_.write("\a");
  overflowed_ = true;
}

void LineEditor::browse(bool older) {
  if (older ? browsed_ == 0 : browsed_ >= history_.size()) return;
  if (browsed_ == history_.size()) static_cast<void>(draft_.assign(buffer_.text()));
  browsed_ += older ? usize(-1) : 1;
  show_history(browsed_);
}

void LineEditor::show_history(usize index) {
  std::string_view line = index < history_.size() ? history_.line(index) : draft_.view();
  static_cast<void>(buffer_.set(line));  // out of memory: an empty line
}

void LineEditor::begin_search() {
  static_cast<void>(draft_.assign(buffer_.text()));
  searching_ = true;
  found_ = true;
  query_.clear();
  match_ = history_.size();
}

void LineEditor::search_again(usize below) {
  usize at = history_.find(query_.view(), below);
  found_ = at < history_.size();
  if (!found_) return;
  match_ = browsed_ = at;
  show_history(at);
}

bool LineEditor::search_key(const KeyEvent& event) {
  char bytes[4];
  switch (event.key) {
    case Key::kText:
      if (query_.append({bytes, utf8::encode(event.code, bytes)}).has_value())
        search_again(std::min(match_ + 1, history_.size()));
      return true;
    case Key::kBackspace:
      while (!query_.empty() && (static_cast<u8>(query_[query_.size() - 1]) & 0xc0) == 0x80)
        query_.truncate(query_.size() - 1);
      if (!query_.empty()) query_.truncate(query_.size() - 1);
      search_again(history_.size());
      return true;
    case Key::kSearch:
      search_again(match_);
      return true;
    case Key::kInterrupt:
    case Key::kCancel:
      searching_ = false;
      browsed_ = history_.size();
      show_history(browsed_);
      return true;
    default:
      searching_ = false;
      return false;
  }
}

// The first Tab completes as far as all candidates agree; the second lists them.
void LineEditor::complete(Listing listing) {
  if (completer_ == nullptr) return;
  Candidates candidates;
  completer_->complete(buffer_.before(), candidates);
  candidates.finish();
  usize start = std::min(candidates.word_start, buffer_.before().size());
  usize typed = buffer_.before().size() - start;
  std::string_view prefix = candidates.common_prefix();
  if (candidates.list().size() == 1) {
    static_cast<void>(buffer_.insert(prefix.substr(std::min(typed, prefix.size()))));
    insert(' ');
    last_was_tab_ = false;
  } else if (prefix.size() > typed) {
    static_cast<void>(buffer_.insert(prefix.substr(typed)));
  } else if (candidates.list().empty()) {
    out_.write("\a");
  } else if (listing == Listing::kYes) {
    list_candidates(candidates.list());
  }
}

LineEditor::Event LineEditor::finish(Event event) {
  searching_ = false;
  if (event != Event::kInterrupt) buffer_.end();
  refresh();
  out_.write(event == Event::kInterrupt ? "^C\n" : "\n");
  shown_.clear();
  shown_cursor_ = 0;
  return event;
}

}  // namespace console
