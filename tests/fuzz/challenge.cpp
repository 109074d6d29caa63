// SPDX-License-Identifier: GPL-2.0-or-later
// Reads arbitrary bytes as a header WWW-Authenticate. What is accepted leads to an address by
// https, or to the server's own host, whose query has what the challenge says and nothing else.
#include "kernel/net/http_challenge.h"

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  Result<net::BearerChallenge> found = net::parse_bearer(text);
  if (!found.has_value()) return 0;
  ASSERT(!found->realm.empty());
  for (const String* one : {&found->realm, &found->service, &found->scope})
    for (char c : one->view()) ASSERT(static_cast<u8>(c) >= 0x20 && c != 0x7f);
  for (std::string_view server : {"https://h.example/v2/", "http://h.example:5000/v2/"}) {
    net::Url asked = MUST(net::parse_url(server));
    Result<String> address = net::token_address(*found, asked);
    if (!address.has_value()) continue;
    net::Url url = MUST(net::parse_url(address->view()));
    ASSERT(url.secure || (!asked.secure && url.host.view() == asked.host.view()));
    // The realm's own query may name the same things first.
    if (found->realm.view().contains('?')) continue;
    for (auto [name, value] :
         {std::pair{"service", &found->service}, std::pair{"scope", &found->scope}}) {
      if (value->empty()) continue;
      String said = MUST(net::query_value(net::split_target(url.target.view()).query, name));
      ASSERT(said.view() == value->view());
    }
  }
  return 0;
}
