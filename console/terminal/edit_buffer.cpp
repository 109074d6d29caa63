// SPDX-License-Identifier: GPL-2.0-or-later
// Implements cursor movement and cutting over two stacks.
#include "console/terminal/edit_buffer.h"

#include "kernel/base/text_width.h"

namespace console {
namespace {

bool is_continuation(char c) {
  return (static_cast<u8>(c) & 0xc0) == 0x80;
}

bool is_word(char c) {
  u8 b = static_cast<u8>(c);
  return b >= 0x80 || (b >= '0' && b <= '9') || ((b | 0x20) >= 'a' && (b | 0x20) <= 'z') ||
         b == '_';
}

}  // namespace

Result<void> EditBuffer::insert(u32 code) {
  char bytes[4];
  return insert(std::string_view(bytes, utf8::encode(code, bytes)));
}

Result<void> EditBuffer::insert(std::string_view text) {
  if (text.size() > kLongestLine - std::min(size(), kLongestLine))
    return fail(Errc::kFull, "the line is full");
  return before_.append(text);
}

Result<void> EditBuffer::set(std::string_view text) {
  clear();
  return insert(text);
}

void EditBuffer::clear() {
  before_.clear();
  after_.clear();
}

usize EditBuffer::step_left() const {
  std::string_view text = before_.view();
  usize at = text.size();
  while (at > 0) {
    do at--;
    while (at > 0 && is_continuation(text[at]));
    if (base::display_width(utf8::decode(text.substr(at)).code_point) > 0 || text[at] == '\n')
      break;
  }
  return text.size() - at;
}

usize EditBuffer::step_right() const {
  usize taken = 0;
  while (taken < after_.size()) {
    char bytes[4];
    usize n = 0;
    do bytes[n] = after(taken + n), n++;
    while (n < 4 && taken + n < after_.size() && is_continuation(after(taken + n)));
    u32 code = utf8::decode({bytes, n}).code_point;
    if (taken > 0 && (base::display_width(code) > 0 || code < 0x20)) break;
    taken += n;
  }
  return taken;
}

void EditBuffer::move_left(usize bytes) {
  std::string_view text = before_.view();
  for (usize i = 0; i < bytes; i++) {
    // Out of memory: the rest stays left of the cursor, so nothing is lost.
    if (!after_.push_back(text[text.size() - 1 - i]).has_value()) {
      bytes = i;
      break;
    }
  }
  before_.truncate(text.size() - bytes);
}

void EditBuffer::move_right(usize bytes) {
  for (usize i = 0; i < bytes; i++) {
    if (!before_.push_back(after_.back()).has_value()) return;
    after_.pop_back();
  }
}

bool EditBuffer::left() {
  usize bytes = step_left();
  move_left(bytes);
  return bytes > 0;
}

bool EditBuffer::right() {
  usize bytes = step_right();
  move_right(bytes);
  return bytes > 0;
}

bool EditBuffer::word_left() {
  usize start = before_.size();
  while (!before_.empty() && !is_word(before_[before_.size() - 1])) left();
  while (!before_.empty() && is_word(before_[before_.size() - 1])) left();
  return before_.size() != start;
}

bool EditBuffer::word_right() {
  usize start = before_.size();
  while (!after_.empty() && !is_word(after_.back())) right();
  while (!after_.empty() && is_word(after_.back())) right();
  return before_.size() != start;
}

void EditBuffer::home() {
  move_left(before_.size());
}

void EditBuffer::end() {
  move_right(after_.size());
}

bool EditBuffer::erase_left() {
  usize bytes = step_left();
  before_.truncate(before_.size() - bytes);
  return bytes > 0;
}

bool EditBuffer::erase_right() {
  usize bytes = step_right();
  after_.truncate(after_.size() - bytes);
  return bytes > 0;
}

void EditBuffer::kill_before(usize bytes) {
  killed_.clear();
  // Out of memory: the text is still cut, but `yank` will have nothing to insert.
  static_cast<void>(killed_.append(before_.view().substr(before_.size() - bytes)));
  before_.truncate(before_.size() - bytes);
}

void EditBuffer::kill_after(usize bytes) {
  killed_.clear();
  for (usize i = 0; i < bytes; i++)
    if (!killed_.push_back(after(i)).has_value()) break;
  after_.truncate(after_.size() - bytes);
}

void EditBuffer::kill_to_end() {
  kill_after(after_.size());
}

void EditBuffer::kill_to_start() {
  kill_before(before_.size());
}

void EditBuffer::kill_word_left() {
  // Like a Unix terminal, deletes back to white space, whatever is between.
  usize at = before_.size();
  while (at > 0 && before_[at - 1] == ' ') at--;
  while (at > 0 && before_[at - 1] != ' ') at--;
  kill_before(before_.size() - at);
}

void EditBuffer::kill_word_right() {
  usize n = 0;
  while (n < after_.size() && !is_word(after(n))) n++;
  while (n < after_.size() && is_word(after(n))) n++;
  kill_after(n);
}

Result<void> EditBuffer::yank() {
  return insert(killed_.view());
}

void EditBuffer::swap() {
  if (after_.empty()) left();
  usize bytes = step_left();
  if (bytes == 0 || after_.empty()) return;
  char moved[16];
  if (bytes > sizeof moved) return;
  std::string_view text = before_.view().substr(before_.size() - bytes);
  std::copy(text.begin(), text.end(), moved);
  before_.truncate(before_.size() - bytes);
  right();
  static_cast<void>(before_.append({moved, bytes}));  // this room was just released
}

std::string_view EditBuffer::text() {
  end();
  return before_.view();
}

}  // namespace console
