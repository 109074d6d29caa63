// SPDX-License-Identifier: GPL-2.0-or-later
// Challenges of registries: what is read of them, what is refused, and where a token may be asked
// for.
#include "kernel/net/http_challenge.h"

#include <string>

#include "kernel/base/test.h"

namespace {

std::string said(std::string_view header) {
  Result<net::BearerChallenge> found = net::parse_bearer(header);
  if (!found.has_value()) return found.error().code == Errc::kNotFound ? "none" : "malformed";
  std::string text(found->realm.view());
  text += '|';
  text += found->service.view();
  text += '|';
  text += found->scope.view();
  return text;
}

std::string asks(std::string_view realm, std::string_view server) {
  net::BearerChallenge challenge{MUST(String::from(realm)), MUST(String::from("reg istry")),
                                 MUST(String::from("repository:a/b:pull"))};
  net::Url url = MUST(net::parse_url(server));
  Result<String> address = net::token_address(challenge, url);
  if (!address.has_value()) return address.error().code == Errc::kPermission ? "refused" : "wrong";
  return std::string(address->view());
}

}  // namespace

TEST(http_challenge, what_registries_send) {
  EXPECT(said(R"(Bearer realm="https://a/t",service="r",scope="repository:x/y:pull,push")") ==
         "https://a/t|r|repository:x/y:pull,push");
  EXPECT(said(R"(bearer Realm = "https://a/t" , error="x")") == "https://a/t||");
  EXPECT(said(R"(Basic realm="no", Bearer realm="a\"b\\", service=r)") == "a\"b\\|r|");
  EXPECT(said(R"(Bearer realm="a", Basic realm="no")") == "a||");
  EXPECT(said(R"(, ,Negotiate,Bearer realm=a)") == "a||");
}

TEST(http_challenge, what_is_refused) {
  for (std::string_view header : {"", "Basic realm=\"x\"", "Negotiate", " , "})
    EXPECT(said(header) == "none");
  for (std::string_view header :
       {"Bearer", "Bearer service=r", "Bearer realm=", "Bearer realm=\"a", "Bearer realm=\"a\\",
        "Bearer realm=a,realm=b", "Bearer realm=a, Bearer realm=b", "Bearer\trealm=a", "=x",
        "Bearer realm=\"a\"b", "Bearer realm=\"a\nb\"", "Bearer realm=a;scope=b", "Bearer,x=y"})
    EXPECT(said(header) == "malformed");
  std::string large = "Bearer realm=\"" + std::string(5000, 'x') + "\"";
  EXPECT(said(large) == "malformed");
}

TEST(http_challenge, where_a_token_is_asked_for) {
  constexpr std::string_view kQuery = "service=reg%20istry&scope=repository%3aa%2fb%3apull";
  std::string query(kQuery);
  EXPECT(asks("https://auth.example/token", "https://r.example/") ==
         "https://auth.example/token?" + query);
  EXPECT(asks("https://auth.example/token?a=b", "http://r.example/") ==
         "https://auth.example/token?a=b&" + query);
  EXPECT(asks("http://r.example:5001/t", "http://r.example:5000/") ==
         "http://r.example:5001/t?" + query);
  EXPECT(asks("http://r.example/t", "https://r.example/") == "refused");
  EXPECT(asks("http://other.example/t", "http://r.example/") == "refused");
  EXPECT(asks("ftp://r.example/t", "http://r.example/") == "wrong");
  EXPECT(asks("https://user@r.example/t", "http://r.example/") == "wrong");
}
