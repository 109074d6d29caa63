// SPDX-License-Identifier: GPL-2.0-or-later
// The HTTP client: answers however they are cut, what is refused, redirects and who gets the token,
// silence and cut connections; addresses.
#include "kernel/net/http_client.h"

#include "kernel/base/test.h"
#include "tests/hosted/scripted_network.h"

namespace {

using net::HttpFetch;
using net::HttpResponseParser;
using scripted::Answer;

struct Watcher final : net::HttpWatcher {
  bool stopped() override { return stop; }
  void on_redirect(const HttpResponseParser& answer) override {
    linked = std::string(answer.header("x-linked-etag"));
  }
  bool stop = false;
  std::string linked;
};

struct Got {
  int status = 0;
  std::string body;
  Errc error{};
  bool failed = false;
};

constexpr u64 kShortNs = 30'000'000;

Got fetch(Watcher& watcher, net::HttpCall call) {
  call.silence_ns = call.connect_ns = kShortNs;
  Got got;
  auto opened = HttpFetch::open(call, watcher);
  if (!opened.has_value()) {
    got.failed = true;
    got.error = opened.error().code;
    return got;
  }
  got.status = (*opened)->status();
  char piece[700];
  for (;;) {
    Result<usize> n = (*opened)->read(piece);
    if (!n.has_value()) {
      got.failed = true;
      got.error = n.error().code;
    }
    if (!n.has_value() || *n == 0) return got;
    got.body.append(piece, *n);
  }
}

Got fetch(std::string_view url = "http://h/x") {
  Watcher watcher;
  return fetch(watcher, {.url = url});
}

std::string ok(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string to(const std::string& place) {
  return "HTTP/1.1 302 Found\r\nLocation: " + place + "\r\nContent-Length: 0\r\n\r\n";
}

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// Returns the state after the bytes and the end of the connection.
HttpResponseParser::State state_of(std::string_view bytes) {
  HttpResponseParser parser;
  std::string_view body;
  while (!bytes.empty()) {
    usize took = parser.feed(bytes, body);
    if (took == 0) break;
    bytes.remove_prefix(took);
  }
  parser.end();
  return parser.state();
}

std::string follow(std::string_view base, std::string_view reference) {
  net::Url from = MUST(net::parse_url(base));
  auto next = net::follow_reference(from, reference);
  if (!next.has_value()) return "refused";
  String text = MUST(next->text());
  return std::string(text.view());
}

}  // namespace

TEST(http_client, bodies_however_they_are_cut) {
  std::string text(5000, 'x');
  for (usize i = 0; i < text.size(); i += 3) text[i] = static_cast<char>('a' + i % 26);
  const std::string kAnswers[] = {ok(text), "HTTP/1.0 200 OK\r\n\r\n" + text,
                                  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nTransfer-Encoding: "
                                  "chunked\r\n\r\n1000;a=b\r\n" +
                                      text.substr(0, 4096) + "\r\n388\r\n" + text.substr(4096) +
                                      "\r\n0\r\nT: x\r\n\r\n"};
  for (const std::string& answer : kAnswers)
    for (usize step : {usize{1}, usize{7}, usize{1000}, usize{100'000}}) {
      scripted::Network network;
      network.answers.push_back({answer, Answer::End::kClose, step});
      Got got = fetch("http://Host.example:8080/a/b?c=d#e");
      EXPECT(!got.failed && got.status == 200);
      EXPECT(got.body == text);
      EXPECT(
          network.requests[0].starts_with("GET /a/b?c=d HTTP/1.1\r\nHost: host.example:8080\r\n"));
      EXPECT(network.names[0] == "host.example");
    }
}

TEST(http_client, refuses_what_is_not_http) {
  using State = HttpResponseParser::State;
  using namespace std::string_view_literals;
  for (
      std::string_view answer :
      {"HTTP/2 200 OK\r\n\r\n"sv, "HTTP/1.1 20 OK\r\n\r\n"sv, "HTTP/1.1 999 X\r\n\r\n"sv,
       "HTTP/1.1 2x0 OK\r\n\r\n"sv, "HTTP/1.1 200OK\r\n\r\n"sv, "HTTP/1.1 200 OK\n\n"sv,
       "SSH-2.0-x\r\n"sv, "\x16\x03\x01\r\n"sv, "HTTP/1.1 101 X\r\n\r\n"sv,
       "HTTP/1.1 200 OK\r\nA : b\r\n\r\n"sv, "HTTP/1.1 200 OK\r\n folded: b\r\n\r\n"sv,
       "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n"sv,
       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"sv,
       "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"sv,
       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"sv,
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"sv,
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"sv,
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n"sv}) {
    EXPECT(state_of(answer) == State::kFailed);
    scripted::Network network;
    network.answers.push_back({std::string(answer)});
    Got got = fetch();
    EXPECT(got.failed && got.error == Errc::kCorrupt);
  }
  std::string many = "HTTP/1.1 200 OK\r\n", interim;
  for (int i = 0; i < 101; i++) many += "A: b\r\n";
  for (int i = 0; i < 9; i++) interim += "HTTP/1.1 100 X\r\n\r\n";
  EXPECT(state_of(many + "\r\n") == State::kFailed);
  EXPECT(state_of(interim + ok("x")) == State::kFailed);
  EXPECT(state_of("HTTP/1.1 200 OK\r\nA: " + std::string(40'000, 'x') + "\r\n\r\n") ==
         State::kFailed);
  EXPECT(state_of("HTTP/1.1 204 No\r\n\r\n") == State::kComplete);
}

TEST(http_client, a_cut_is_told_from_nonsense) {
  for (auto end : {Answer::End::kClose, Answer::End::kReset}) {
    for (const std::string& text :
         {std::string("HTTP/1.1 200"),
          std::string("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"),
          std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")}) {
      scripted::Network network;
      network.answers.push_back({text, end});
      Got got = fetch();
      EXPECT(got.failed && got.error == Errc::kIo);
      EXPECT(got.body.empty() || text.ends_with(got.body));
    }
  }
}

TEST(http_client, silence_and_stopping_end_it) {
  for (const std::string& text : {std::string(), ok("hello").substr(0, 40)}) {
    scripted::Network network;
    network.answers.push_back({text, Answer::End::kSilence});
    Got got = fetch();
    EXPECT(got.failed && got.error == Errc::kTimeout);
    network.answers.push_back({text, Answer::End::kSilence});
    Watcher watcher;
    watcher.stop = true;
    got = fetch(watcher, {.url = "http://h/"});
    EXPECT(got.failed && got.error == Errc::kCancelled);
  }
}

TEST(http_client, no_connection) {
  scripted::Network network;
  network.answers.push_back({"", Answer::End::kClose, 1000, true});
  EXPECT(fetch().error == Errc::kIo);
  EXPECT(fetch("http://nowhere/").error == Errc::kNotFound);
  EXPECT(fetch("ftp://h/").error == Errc::kInvalidArgument);
  EXPECT(network.requests.size() == 1);
}

TEST(http_client, a_token_stays_with_its_host) {
  scripted::Network network;
  for (const std::string& answer :
       {to("/y"), to("//h:80/z"), to("http://other/signed?a=b"), to("http://h/back"), ok("body")})
    network.answers.push_back({answer});
  Watcher watcher;
  const base::HttpHeader kRange[] = {{"Range", "bytes=5-"}};
  Got got =
      fetch(watcher, {.url = "http://h/x", .headers = kRange, .authorization = "Bearer secret"});
  EXPECT(!got.failed && got.body == "body");
  REQUIRE(network.requests.size() == 5);
  for (usize i = 0; i < 5; i++) {
    EXPECT(has(network.requests[i], "Range: bytes=5-\r\n"));
    EXPECT(has(network.requests[i], "Authorization: Bearer secret\r\n") == (i != 3));
  }
  EXPECT(network.requests[3].starts_with("GET /signed?a=b HTTP/1.1\r\nHost: other\r\n"));
}

TEST(http_client, redirects_have_an_end) {
  scripted::Network network;
  for (int i = 0; i < 12; i++) network.answers.push_back({to("/again")});
  EXPECT(fetch().error == Errc::kCorrupt);
  EXPECT_EQ(network.requests.size(), 11u);
  network.answers = {{"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"}};
  EXPECT(fetch().error == Errc::kCorrupt);
  network.answers = {{to("file:///etc/x")}};
  EXPECT(fetch().error == Errc::kInvalidArgument);
}

TEST(http_client, headers_are_one_line) {
  scripted::Network network;
  network.answers = {{ok("x")}, {ok("x")}};
  Watcher watcher;
  const base::HttpHeader kSplit[] = {{"If-Range", "a\r\nX: y"}};
  EXPECT(fetch(watcher, {.url = "http://h/", .headers = kSplit}).error == Errc::kInvalidArgument);
  EXPECT(fetch(watcher, {.url = "http://h/", .authorization = "a\nb"}).error ==
         Errc::kInvalidArgument);
  for (const std::string& request : network.requests) EXPECT(!has(request, "\r\n\r\n"));
}

TEST(http_client, addresses) {
  constexpr const char* kBase = "http://a:81/b/c/d?q";
  EXPECT_EQ(follow(kBase, "g"), "http://a:81/b/c/g");
  EXPECT_EQ(follow(kBase, "../g?x#y"), "http://a:81/b/g?x");
  EXPECT_EQ(follow(kBase, "../../../g"), "http://a:81/g");
  EXPECT_EQ(follow(kBase, "./"), "http://a:81/b/c/");
  EXPECT_EQ(follow(kBase, "?y"), "http://a:81/b/c/d?y");
  EXPECT_EQ(follow(kBase, ""), "http://a:81/b/c/d?q");
  EXPECT_EQ(follow(kBase, "/x/../y"), "http://a:81/y");
  EXPECT_EQ(follow(kBase, "//B/g"), "http://b/g");
  EXPECT_EQ(follow(kBase, "https://C"), "https://c/");
  EXPECT_EQ(follow(kBase, "HTTP://[2001:DB8::1]:80/x"), "http://[2001:db8::1]/x");
  for (const char* bad : {"http://", "http://u:p@h/", "http://h:0/", "http://h:65536/",
                          "http://h:x/", "http://h/a b", "http://[::1/", "http://h\\x/", "file:/x",
                          "javascript:x", "http://h/\xc3\xa4", "http://a,b/"})
    EXPECT_EQ(follow(kBase, bad), "refused");
}
