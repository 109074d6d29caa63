// SPDX-License-Identifier: GPL-2.0-or-later
// Splits and decodes request targets.
#include "kernel/net/url.h"

#include "kernel/base/hex.h"
#include "kernel/base/text.h"

namespace net {

Target split_target(std::string_view target) {
  for (std::string_view scheme : {"http://", "https://"}) {
    if (!target.starts_with(scheme)) continue;
    usize slash = target.find('/', scheme.size());
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  target = target.substr(0, target.find('#'));
  usize mark = target.find('?');
  if (mark == std::string_view::npos) return {target, {}};
  return {target.substr(0, mark), target.substr(mark + 1)};
}

Result<void> percent_decode(std::string_view text, PlusIsBlank plus, String& out) {
  for (usize i = 0; i < text.size(); i++) {
    char c = text[i];
    if (c == '+' && plus == PlusIsBlank::kYes) c = ' ';
    if (text[i] == '%') {
      if (i + 2 >= text.size()) return fail(Errc::kCorrupt, "broken percent escape");
      std::optional<u8> high = base::hex_digit(text[i + 1]), low = base::hex_digit(text[i + 2]);
      if (!high || !low) return fail(Errc::kCorrupt, "broken percent escape");
      c = static_cast<char>(*high << 4 | *low);
      if (c == '\0') return fail(Errc::kCorrupt, "zero byte in the target");
      i += 2;
    }
    TRY(out.push_back(c));
  }
  return {};
}

Result<String> query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    std::string_view pair = base::split_off(query, '&');
    usize equals = pair.find('=');
    String key;
    TRY(percent_decode(pair.substr(0, equals), PlusIsBlank::kYes, key));
    if (key.view() != name) continue;
    String value;
    if (equals != std::string_view::npos)
      TRY(percent_decode(pair.substr(equals + 1), PlusIsBlank::kYes, value));
    return value;
  }
  return fail(Errc::kNotFound, "no such query parameter");
}

}  // namespace net
