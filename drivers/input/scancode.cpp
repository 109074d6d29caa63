// SPDX-License-Identifier: GPL-2.0-or-later
// Tables of the US keyboard, and the decoder that uses them. Keys are named by their set 1 code.
#include "drivers/input/scancode.h"

#include <string_view>

namespace input {
namespace {

constexpr u8 kTab = 0x0f, kEnter = 0x1c, kControl = 0x1d, kShiftLeft = 0x2a, kShiftRight = 0x36,
             kAlt = 0x38, kCaps = 0x3a, kNum = 0x45, kPageUp = 0x49, kPageDown = 0x51,
             kDelete = 0x53;

// Set 1 codes 0x00 to 0x39; 0 = no character.
constexpr std::string_view kPlain(
    "\0\x1b"
    "1234567890-=\x7f\t"
    "qwertyuiop[]\r\0"
    "asdfghjkl;'`\0\\"
    "zxcvbnm,./\0*\0 ",
    0x3a);
constexpr std::string_view kShifted(
    "\0\x1b"
    "!@#$%^&*()_+\x7f\t"
    "QWERTYUIOP{}\r\0"
    "ASDFGHJKL:\"~\0|"
    "ZXCVBNM<>?\0*\0 ",
    0x3a);

struct Sequence {
  u8 code;
  char digit;  // the character of the keypad's key with NumLock; 0 = none
  std::string_view bytes;
};
constexpr Sequence kSequences[] = {
    {0x47, '7', "\x1b[H"},  {0x48, '8', "\x1b[A"},  {0x49, '9', "\x1b[5~"}, {0x4b, '4', "\x1b[D"},
    {0x4c, '5', ""},        {0x4d, '6', "\x1b[C"},  {0x4f, '1', "\x1b[F"},  {0x50, '2', "\x1b[B"},
    {0x51, '3', "\x1b[6~"}, {0x52, '0', "\x1b[2~"}, {0x53, '.', "\x1b[3~"}, {0x4a, '-', "-"},
    {0x4e, '+', "+"},
};

// The 8042's own translation from set 2 to set 1, codes 0x00 to 0x83; 0 = no key.
constexpr u8 kSet2ToSet1[0x84] = {
    0,    0x43, 0,    0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0,    0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29,
    0,    0,    0x38, 0x2a, 0,    0x1d, 0x10, 0x02, 0,    0,    0,    0x2c, 0x1f, 0x1e, 0x11,
    0x03, 0,    0,    0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0,    0,    0x39, 0x2f, 0x21, 0x14,
    0x13, 0x06, 0,    0,    0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0,    0,    0,    0x32, 0x24,
    0x16, 0x08, 0x09, 0,    0,    0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0,    0,    0x34, 0x35,
    0x26, 0x27, 0x19, 0x0c, 0,    0,    0,    0x28, 0,    0x1a, 0x0d, 0,    0,    0x3a, 0x36,
    0x1c, 0x1b, 0,    0x2b, 0,    0,    0,    0x56, 0,    0,    0,    0,    0x0e, 0,    0,
    0x4f, 0,    0x4b, 0x47, 0,    0,    0,    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45,
    0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0,    0,    0,    0,    0x41,
};

void add(KeyPress& out, std::string_view bytes) {
  for (char c : bytes) static_cast<void>(out.bytes.push_back(c));  // at most ESC and four
}

bool is_letter(char c) {
  return c >= 'a' && c <= 'z';
}

}  // namespace

KeyPress ScancodeDecoder::feed(u8 scancode) {
  if (skip_ > 0) {
    skip_--;
    return {};
  }
  if (scancode == 0xe1) {  // Pause, which is not used; the rest of its sequence is 5 or 7 bytes
    skip_ = set_ == ScancodeSet::kSet1 ? 5 : 7;
    return {};
  }
  if (scancode == 0xe0) {
    extended_ = true;
    return {};
  }
  if (set_ == ScancodeSet::kSet2) {
    if (scancode == 0xf0) {
      released_ = true;
      return {};
    }
    u8 code = scancode < sizeof kSet2ToSet1 ? kSet2ToSet1[scancode] : 0;
    bool extended = std::exchange(extended_, false);
    bool released = std::exchange(released_, false);
    return code == 0 ? KeyPress{} : key(code, extended, released);
  }
  bool extended = std::exchange(extended_, false);
  // 0xfa, 0xfe, 0xff and 0x00 are the keyboard's answers and errors, not keys.
  if (scancode >= 0xf0 || scancode == 0) return {};
  return key(scancode & 0x7f, extended, (scancode & 0x80) != 0);
}

void ScancodeDecoder::modifier(u8 code, bool extended, bool released) {
  // An extended shift is sent by the keyboard itself around the grey keys.
  if (code == kShiftLeft && !extended) shift_left_ = !released;
  if (code == kShiftRight && !extended) shift_right_ = !released;
  if (code == kControl) control_ = !released;
  if (code == kAlt) alt_ = !released;
  if (code == kCaps && !released) caps_ = !caps_;
  if (code == kNum && !released && !extended) num_ = !num_;
}

KeyPress ScancodeDecoder::key(u8 code, bool extended, bool released) {
  KeyPress out;
  modifier(code, extended, released);
  if (released) return out;
  if (control_ && alt_ && code == kDelete) {
    out.restart = true;
    return out;
  }
  bool shift = shift_left_ || shift_right_;
  if (shift && (extended || !num_) && (code == kPageUp || code == kPageDown)) {
    out.scroll = code == kPageUp ? 1 : -1;
    return out;
  }
  for (const Sequence& row : kSequences) {
    if (row.code != code) continue;
    bool types_digit = !extended && num_ != shift;
    if (types_digit) {
      character(row.digit, row.digit, out);
    } else if (control_ && row.bytes.size() == 3) {
      // Ctrl with an arrow, Home or End, in xterm's form: ESC [ 1 ; 5 X
      add(out, "\x1b[1;5");
      add(out, row.bytes.substr(2));
    } else {
      add(out, row.bytes);
    }
    return out;
  }
  if (extended && code != kEnter && code != 0x35) return out;  // keypad Enter and '/' are extended
  if (code == 0x35 && extended) {
    character('/', '/', out);
  } else if (code == kTab && shift) {
    add(out, "\x1b[Z");
  } else if (code < kPlain.size()) {
    character(kPlain[code], kShifted[code], out);
  } else if (code == 0x56) {
    character('\\', '|', out);
  }
  return out;
}

void ScancodeDecoder::character(char plain, char shifted, KeyPress& out) const {
  if (plain == 0) return;
  bool shift = shift_left_ || shift_right_;
  if (is_letter(plain) && caps_) shift = !shift;
  char c = shift ? shifted : plain;
  if (control_) {
    if (c == ' ' || c == '2') return;  // NUL is ignored
    bool has_control = (c >= '@' && c <= '_') || is_letter(c);
    if (has_control) c = static_cast<char>(c & 0x1f);
  }
  if (alt_) add(out, "\x1b");
  add(out, {&c, 1});
}

}  // namespace input
