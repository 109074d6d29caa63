// SPDX-License-Identifier: GPL-2.0-or-later
// Stop strings and character joining over hostile bytes: cut differently, the same text comes out.
#include "ai/text/stop.h"
#include "ai/text/utf8_stream.h"
#include "kernel/base/bytes.h"
#include "kernel/base/utf8.h"

namespace {

// Feeds `text` in pieces of `piece` bytes through both stages, as the engine does.
bool run(std::span<const std::string_view> strings, std::string_view text, usize piece,
         Vector<char>& out) {
  auto stop = ai::StopStrings::create(strings);
  if (!stop.has_value()) return false;
  ai::Utf8Stream characters;
  Vector<char> joined;
  for (usize at = 0; at < text.size(); at += piece) {
    joined.clear();
    MUST(characters.feed(text.substr(at, piece), joined));
    bool stopped = MUST(stop->feed({joined.data(), joined.size()}, out));
    ASSERT(utf8::valid({out.data(), out.size()}));
    if (stopped) return true;
  }
  joined.clear();
  MUST(characters.finish(joined));
  if (!MUST(stop->feed({joined.data(), joined.size()}, out))) MUST(stop->finish(out));
  return true;
}

}  // namespace

// Byte 0: the pieces' size; then length-prefixed stop strings (at most 3); the rest is the text.
extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  base::ByteReader reader({data, size});
  usize piece = 1 + reader.read<u8>().value_or(0) % 16;
  StaticVector<std::string_view, 3> strings;
  u8 count = reader.read<u8>().value_or(0) % 4;
  for (u8 i = 0; i < count; i++) {
    auto text = reader.read_text(reader.read<u8>().value_or(0) % 16);
    // Requests carry text: stop strings are whole characters.
    if (text.has_value() && utf8::valid(*text)) (void)strings.push_back(*text);
  }
  std::string_view text = MUST(reader.read_text(reader.remaining()));
  Vector<char> cut, whole;
  bool ok = run(strings.view(), text, piece, cut);
  ASSERT(ok == run(strings.view(), text, size + 1, whole));
  ASSERT(cut.size() == whole.size() &&
         std::memcmp(cut.data() ? cut.data() : "", whole.data() ? whole.data() : "", cut.size()) ==
             0);
  return 0;
}
