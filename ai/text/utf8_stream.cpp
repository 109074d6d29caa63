// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the joining of token pieces into characters.
#include "ai/text/utf8_stream.h"

#include "kernel/base/utf8.h"

namespace ai {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

Result<void> append(Vector<char>& out, std::string_view text) {
  return out.append(std::span<const char>(text.data(), text.size()));
}

}  // namespace

Result<void> Utf8Stream::feed(std::string_view bytes, Vector<char>& out) {
  for (char byte : bytes) {
    kept_[held_++] = byte;
    // One byte can end a broken sequence and begin another, so there are at most two rounds.
    while (held_ > 0) {
      std::string_view kept(kept_, held_);
      utf8::Decoded d = utf8::decode(kept);
      if (d.incomplete) break;
      TRY(append(out, d.valid ? kept.substr(0, d.bytes) : kReplacement));
      held_ -= d.bytes;
      std::memmove(kept_, kept_ + d.bytes, held_);
    }
  }
  return {};
}

Result<void> Utf8Stream::finish(Vector<char>& out) {
  if (held_ == 0) return {};
  held_ = 0;
  return append(out, kReplacement);
}

}  // namespace ai
