// SPDX-License-Identifier: GPL-2.0-or-later
// Parses challenges, strictly.
#include "kernel/net/http_challenge.h"

#include <algorithm>

#include "kernel/base/text.h"
#include "kernel/net/http_syntax.h"
#include "kernel/net/url.h"

namespace net {
namespace {

constexpr usize kMostValue = 2048;

void skip_blanks(std::string_view& text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
}

std::string_view take_token(std::string_view& text) {
  usize size = 0;
  while (size < text.size() && http_syntax::is_token(text.substr(size, 1))) size++;
  std::string_view token = text.substr(0, size);
  text.remove_prefix(size);
  return token;
}

std::unexpected<Error> malformed() {
  return fail(Errc::kCorrupt, "the server's header WWW-Authenticate is malformed");
}

// Takes `"…"`, in which a backslash makes the next character literal (RFC 9110, 5.6.4).
Result<String> take_quoted(std::string_view& text) {
  String value;
  for (usize i = 1; i < text.size(); i++) {
    char c = text[i];
    if (c == '"') {
      text.remove_prefix(i + 1);
      return value;
    }
    if (c == '\\' && ++i == text.size()) break;
    if (static_cast<u8>(text[i]) < 0x20 || text[i] == 0x7f || value.size() == kMostValue) break;
    TRY(value.push_back(text[i]));
  }
  return malformed();
}

Result<String> take_value(std::string_view& text) {
  if (text.starts_with('"')) return take_quoted(text);
  std::string_view token = take_token(text);
  if (token.empty() || token.size() > kMostValue) return malformed();
  return String::from(token);
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<BearerChallenge> run() {
    while (!at_end()) TRY(challenge());
    if (!found_) return fail(Errc::kNotFound, "the server wants no token of a token server");
    if (out_.realm.empty()) return malformed();
    return std::move(out_);
  }

 private:
  // Empty elements of the list are allowed (RFC 9110, 5.6.1).
  bool at_end() {
    do skip_blanks(text_);
    while (text_.starts_with(',') && (text_.remove_prefix(1), true));
    return text_.empty();
  }

  Result<void> challenge() {
    std::string_view scheme = take_token(text_);
    if (scheme.empty()) return malformed();
    bool bearer = base::equal_ignoring_case(scheme, "Bearer");
    if (bearer && found_) return malformed();
    found_ = found_ || bearer;
    if (text_.empty() || text_.starts_with(',')) return {};
    if (!text_.starts_with(' ')) return malformed();
    while (TRY(parameter(bearer))) {
    }
    return {};
  }

  // Returns false at the end of the challenge: at that of the header, or before the next scheme.
  Result<bool> parameter(bool bearer) {
    if (at_end()) return false;
    std::string_view rest = text_, name = take_token(rest);
    if (name.empty()) return malformed();
    std::string_view after = rest;
    skip_blanks(rest);
    if (!rest.starts_with('=')) {
      // A scheme, which is followed by a blank or by the next element.
      if (!after.empty() && after.front() != ' ' && after.front() != ',') return malformed();
      return false;
    }
    rest.remove_prefix(1);
    skip_blanks(rest);
    String value = TRY(take_value(rest));
    skip_blanks(rest);
    if (!rest.empty() && rest.front() != ',') return malformed();
    text_ = rest;
    return !bearer || TRY(keep(name, std::move(value)));
  }

  Result<bool> keep(std::string_view name, String value) {
    struct Row {
      std::string_view name;
      String& to;
      u32 bit;
    };
    for (const Row& row : {Row{"realm", out_.realm, 1}, Row{"service", out_.service, 2},
                           Row{"scope", out_.scope, 4}}) {
      if (!base::equal_ignoring_case(name, row.name)) continue;
      if ((seen_ & row.bit) != 0) return malformed();
      seen_ |= row.bit;
      row.to = std::move(value);
      break;
    }
    return true;
  }

  std::string_view text_;
  BearerChallenge out_;
  bool found_ = false;
  u32 seen_ = 0;
};

Result<void> append_query(std::string_view name, std::string_view value, String& url) {
  if (value.empty()) return {};
  TRY(url.push_back(url.view().contains('?') ? '&' : '?'));
  TRY(url.append(name));
  TRY(url.push_back('='));
  return percent_encode(value, url);
}

}  // namespace

Result<BearerChallenge> parse_bearer(std::string_view header) {
  return Parser(header).run();
}

Result<String> token_address(const BearerChallenge& challenge, const Url& server) {
  Url realm = TRY(parse_url(challenge.realm.view()));
  if (!realm.secure && (server.secure || realm.host.view() != server.host.view()))
    return fail(Errc::kPermission,
                "the registry sends the machine to a token server without https: not followed");
  String url = TRY(realm.text());
  TRY(append_query("service", challenge.service.view(), url));
  TRY(append_query("scope", challenge.scope.view(), url));
  return url;
}

}  // namespace net
