// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the state machine from bytes to keys, with its tables.
#include "console/terminal/key_decoder.h"

#include <utility>

namespace console {
namespace {

constexpr u8 kEscapeByte = 0x1b;

struct ControlKey {
  u8 byte;
  Key key;
};
constexpr ControlKey kControlKeys[] = {
    {0x01, Key::kHome},         {0x02, Key::kLeft},      {0x03, Key::kInterrupt},
    {0x04, Key::kEndOfInput},   {0x05, Key::kEnd},       {0x06, Key::kRight},
    {0x07, Key::kCancel},       {0x08, Key::kBackspace}, {0x09, Key::kTab},
    {0x0a, Key::kEnter},        {0x0b, Key::kKillToEnd}, {0x0c, Key::kClearScreen},
    {0x0d, Key::kEnter},        {0x0e, Key::kDown},      {0x10, Key::kUp},
    {0x12, Key::kSearch},       {0x14, Key::kSwap},      {0x15, Key::kKillToStart},
    {0x17, Key::kKillWordLeft}, {0x19, Key::kYank},      {0x7f, Key::kBackspace},
};

// A key by the parameters and the final byte that follow "ESC [" or "ESC O".
struct SequenceKey {
  std::string_view parameters;
  char final;
  Key key;
};
constexpr SequenceKey kSequenceKeys[] = {
    {"", 'A', Key::kUp},          {"", 'B', Key::kDown},         {"", 'C', Key::kRight},
    {"", 'D', Key::kLeft},        {"", 'H', Key::kHome},         {"", 'F', Key::kEnd},
    {"1", '~', Key::kHome},       {"7", '~', Key::kHome},        {"4", '~', Key::kEnd},
    {"8", '~', Key::kEnd},        {"3", '~', Key::kDelete},      {"1;5", 'C', Key::kWordRight},
    {"1;5", 'D', Key::kWordLeft}, {"1;3", 'C', Key::kWordRight}, {"1;3", 'D', Key::kWordLeft},
    {"5", 'C', Key::kWordRight},  {"5", 'D', Key::kWordLeft},    {"3;5", '~', Key::kKillWordRight},
};

struct AltKey {
  char byte;
  Key key;
};
constexpr AltKey kAltKeys[] = {
    {'b', Key::kWordLeft},      {'f', Key::kWordRight},     {'d', Key::kKillWordRight},
    {0x7f, Key::kKillWordLeft}, {0x08, Key::kKillWordLeft},
};

void add(KeyDecoder::Events& out, Key key, u32 code = 0) {
  // One byte ends at most one broken character and begins one key, so two entries always fit.
  static_cast<void>(out.push_back({key, code}));
}

}  // namespace

KeyDecoder::Events KeyDecoder::feed(u8 byte) {
  Events out;
  switch (state_) {
    case State::kGround:
      ground(byte, out);
      break;
    case State::kEscape:
      state_ = State::kGround;
      if (byte == '[') {
        state_ = State::kCsi;
        parameter_size_ = 0;
      } else if (byte == 'O') {
        state_ = State::kSs3;
      } else if (byte == ']' || byte == 'P' || byte == '^' || byte == '_' || byte == 'X') {
        // OSC, DCS, PM, APC, SOS: a report of the terminal, which is not used here
        state_ = State::kString;
      } else if (byte == kEscapeByte) {
        state_ = State::kEscape;
      } else {
        for (const AltKey& alt : kAltKeys)
          if (static_cast<u8>(alt.byte) == byte) add(out, alt.key);
      }
      break;
    case State::kSs3:
      state_ = State::kGround;
      parameter_size_ = 0;
      end_sequence(byte, out);
      break;
    case State::kCsi:
      if (byte < 0x20) {  // a control character ends a broken sequence and is also a key itself
        state_ = State::kGround;
        ground(byte, out);
      } else if (byte >= 0x40 && byte <= 0x7e) {
        state_ = State::kGround;
        end_sequence(byte, out);
      } else if (parameter_size_ < sizeof parameters_) {
        parameters_[parameter_size_++] = static_cast<char>(byte);
      }
      break;
    case State::kString:
      if (byte == 0x07 || byte == 0x03 || byte == '\r') state_ = State::kGround;
      if (byte == kEscapeByte) state_ = State::kStringEscape;
      break;
    case State::kStringEscape:
      state_ = byte == '\\' ? State::kGround : State::kString;
      break;
  }
  return out;
}

void KeyDecoder::ground(u8 byte, Events& out) {
  bool follows_return = std::exchange(after_return_, byte == '\r');
  if (byte == '\n' && follows_return) return;
  bool control = byte < 0x20 || byte == 0x7f;
  if (!control) return text(byte, out);
  if (utf8_.flush()) add(out, Key::kText, utf8::kReplacement);
  if (byte == kEscapeByte) {
    state_ = State::kEscape;
    return;
  }
  if (pasting_ && byte != 0x03) {
    // Pasted lines stay one input. Other control characters in a paste are no commands.
    if (byte == '\r' || byte == '\n') add(out, Key::kText, '\n');
    if (byte == '\t') add(out, Key::kText, '\t');
    return;
  }
  if (byte == 0x03) pasting_ = false;
  for (const ControlKey& row : kControlKeys)
    if (row.byte == byte) return add(out, row.key);
}

void KeyDecoder::text(u8 byte, Events& out) {
  base::Utf8Assembler::Out codes = utf8_.feed(byte);
  for (u32 i = 0; i < codes.count; i++) {
    // invisible, and some of them move the cursor
    bool c1 = codes.codes[i] >= 0x80 && codes.codes[i] < 0xa0;
    add(out, Key::kText, c1 ? utf8::kReplacement : codes.codes[i]);
  }
}

void KeyDecoder::end_sequence(u8 final, Events& out) {
  std::string_view parameters(parameters_, parameter_size_);
  if (final == '~' && parameters == "200") {
    pasting_ = true;
    after_return_ = false;
    return;
  }
  if (final == '~' && parameters == "201") {
    pasting_ = false;
    return;
  }
  if (pasting_) return;
  for (const SequenceKey& row : kSequenceKeys)
    if (static_cast<u8>(row.final) == final && row.parameters == parameters)
      return add(out, row.key);
}

u64 KeyDecoder::patience_ns() const {
  constexpr u64 kMs = 1'000'000;
  // A byte takes 1 ms on a line of 9600 baud. Inside a sequence there is never a pause of 100 ms.
  return pasting_ && state_ == State::kGround ? 1000 * kMs : 100 * kMs;
}

KeyDecoder::Events KeyDecoder::idle() {
  Events out;
  if (utf8_.flush()) add(out, Key::kText, utf8::kReplacement);
  if (state_ == State::kEscape) add(out, Key::kCancel);
  // If the end of a paste is lost, Enter must still work later.
  if (state_ == State::kGround) pasting_ = false;
  state_ = State::kGround;
  return out;
}

}  // namespace console
