// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as the answer of a server, cut anywhere: the parser completes, waits or refuses, and
// says the same however cut. What it redirects to is a good address, or refused.
#include "kernel/net/http_response.h"

#include "kernel/base/format.h"
#include "kernel/net/url.h"

namespace {

void follow(std::string_view location) {
  net::Url base = MUST(net::parse_url("https://a.example/b/c?d"));
  Result<net::Url> next = net::follow_reference(base, location);
  if (!next.has_value()) return;
  ASSERT(!next->host.empty() && next->port != 0 && next->target.view().starts_with('/'));
  // As text it is the same address again.
  String text = MUST(next->text());
  net::Url again = MUST(net::parse_url(text.view()));
  ASSERT(net::same_origin(again, *next) && again.target.view() == next->target.view());
}

String run(std::string_view bytes, usize step) {
  net::HttpResponseParser parser;
  String seen, body;
  base::StringWriter out(seen);
  while (!bytes.empty()) {
    std::string_view part = bytes.substr(0, step), piece;
    usize took = parser.feed(part, piece);
    ASSERT(took <= part.size() && piece.size() <= took);
    MUST(body.append(piece));
    if (took == 0) break;
    bytes.remove_prefix(took);
  }
  parser.end();
  using State = net::HttpResponseParser::State;
  ASSERT(parser.state() == State::kComplete || parser.state() == State::kFailed);
  base::format_to(out, "{} {} {} {}", static_cast<u32>(parser.state()), parser.status(),
                  parser.header("location"), body);
  if (parser.state() == State::kFailed) return seen;
  if (parser.length()) ASSERT(parser.length() == body.size());
  follow(parser.header("location"));
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  String whole = run(bytes, size + 1);
  ASSERT(run(bytes, 1).view() == whole.view());
  ASSERT(run(bytes, 1 + size / 3).view() == whole.view());
  follow(bytes);
  return 0;
}
