// SPDX-License-Identifier: GPL-2.0-or-later
// Splits and decodes addresses and request targets.
#include "kernel/net/url.h"

#include <charconv>

#include "kernel/base/format.h"
#include "kernel/base/hex.h"
#include "kernel/base/text.h"

namespace net {
namespace {

constexpr usize kMostUrlBytes = 8 * 1024;
constexpr usize kMostHostBytes = 255;
constexpr u16 kHttpPort = 80, kHttpsPort = 443;

bool is_host_char(char c, bool bracketed) {
  char lower = base::lower(c);
  bool letter = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9');
  return letter || c == '.' || (bracketed ? c == ':' : c == '-' || c == '_');
}

// Removes "//host:port" from the front of `rest` into `out`.
Result<void> take_authority(std::string_view& rest, Url& out) {
  rest.remove_prefix(2);
  std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  rest.remove_prefix(authority.size());
  if (authority.contains('@'))
    return fail(Errc::kInvalidArgument, "an address with a name or password is not accepted");
  bool bracketed = authority.starts_with('[');
  usize end = bracketed ? authority.find(']') : authority.find(':');
  std::string_view host = authority.substr(bracketed ? 1 : 0, end - (bracketed ? 1 : 0));
  if (host.empty() || host.size() > kMostHostBytes || (bracketed && end == authority.npos))
    return fail(Errc::kInvalidArgument, "the address has no host");
  for (char c : host) {
    if (!is_host_char(c, bracketed))
      return fail(Errc::kInvalidArgument, "the address's host has a character that no name has");
    TRY(out.host.push_back(base::lower(c)));
  }
  out.port = out.secure ? kHttpsPort : kHttpPort;
  std::string_view port = end == authority.npos ? "" : authority.substr(end + (bracketed ? 1 : 0));
  if (port.empty()) return {};
  auto [last, error] = std::from_chars(port.data() + 1, port.data() + port.size(), out.port);
  if (port[0] != ':' || error != std::errc{} || last != port.data() + port.size() || out.port == 0)
    return fail(Errc::kInvalidArgument, "the address's port is no number from 1 to 65535");
  return {};
}

// Takes path and query, and drops a fragment, which is never sent.
Result<void> take_target(std::string_view rest, Url& out) {
  rest = rest.substr(0, rest.find('#'));
  if (!rest.starts_with('/')) TRY(out.target.push_back('/'));
  for (char c : rest)
    if (static_cast<u8>(c) <= 0x20 || static_cast<u8>(c) >= 0x7f)
      return fail(Errc::kInvalidArgument,
                  "the address has a character that must be escaped as %XX");
  return out.target.append(rest);
}

// Removes "." and ".." from a path (RFC 3986, 5.2.4).
Result<String> without_dots(std::string_view path) {
  String out;
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(part.size());
    bool dots = part == "." || part == "..";
    if (part == "..") out.truncate(out.empty() ? 0 : out.view().rfind('/'));
    if (dots && !path.empty()) continue;
    TRY(out.push_back('/'));
    if (!dots) TRY(out.append(part));
  }
  return out;
}

}  // namespace

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

Result<void> percent_encode(std::string_view text, String& out) {
  for (char c : text) {
    bool plain = (base::lower(c) >= 'a' && base::lower(c) <= 'z') || (c >= '0' && c <= '9') ||
                 std::string_view("-._~").contains(c);
    if (plain) {
      TRY(out.push_back(c));
      continue;
    }
    std::array<char, 2> digits = base::hex_digits(static_cast<Byte>(c));
    TRY(out.push_back('%'));
    TRY(out.append({digits.data(), digits.size()}));
  }
  return {};
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

Result<Url> parse_url(std::string_view text) {
  if (text.size() > kMostUrlBytes) return fail(Errc::kInvalidArgument, "the address is too long");
  usize colon = text.find("://");
  std::string_view scheme = text.substr(0, colon);
  Url url;
  url.secure = base::equal_ignoring_case(scheme, "https");
  if (colon == text.npos || (!url.secure && !base::equal_ignoring_case(scheme, "http")))
    return fail(Errc::kInvalidArgument, "the address must begin with http:// or https://");
  text.remove_prefix(colon + 1);
  TRY(take_authority(text, url));
  TRY(take_target(text, url));
  return url;
}

Result<Url> follow_reference(const Url& base, std::string_view reference) {
  if (reference.size() > kMostUrlBytes)
    return fail(Errc::kInvalidArgument, "the address is too long");
  std::string_view scheme = reference.substr(0, reference.find_first_of(":/?#"));
  if (scheme.size() < reference.size() && reference[scheme.size()] == ':')
    return parse_url(reference);
  Url url;
  url.secure = base.secure;
  if (reference.starts_with("//")) {
    TRY(take_authority(reference, url));
    TRY(take_target(reference, url));
    return url;
  }
  url.host = TRY(base.host.clone());
  url.port = base.port;
  reference = reference.substr(0, reference.find('#'));
  std::string_view own = base.target.view();
  std::string_view own_path = own.substr(0, own.find('?'));
  std::string_view path = reference.substr(0, reference.find('?'));
  String merged;
  if (reference.empty() || reference.starts_with('?'))
    TRY(merged.append(reference.empty() ? own : own_path));
  else if (!path.starts_with('/'))
    TRY(merged.append(own_path.substr(0, own_path.rfind('/') + 1)));
  TRY(merged.append(path));
  if (!path.empty()) merged = TRY(without_dots(merged.view()));
  TRY(merged.append(reference.substr(path.size())));
  TRY(take_target(merged.view(), url));
  return url;
}

bool same_origin(const Url& a, const Url& b) {
  return a.secure == b.secure && a.port == b.port && a.host.view() == b.host.view();
}

Result<Url> Url::clone() const {
  Url copy;
  copy.secure = secure;
  copy.host = TRY(host.clone());
  copy.port = port;
  copy.target = TRY(target.clone());
  return copy;
}

Result<String> Url::authority() const {
  String text;
  base::StringWriter out(text);
  bool v6 = host.view().contains(':');
  base::format_to(out, "{}{}{}", v6 ? "[" : "", host, v6 ? "]" : "");
  if (port != (secure ? kHttpsPort : kHttpPort)) base::format_to(out, ":{}", port);
  TRY(out.status());
  return text;
}

Result<String> Url::text() const {
  String text = TRY(String::from(secure ? "https://" : "http://"));
  String where = TRY(authority());
  TRY(text.append(where.view()));
  TRY(text.append(target.view()));
  return text;
}

}  // namespace net
