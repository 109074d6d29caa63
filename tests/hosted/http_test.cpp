// SPDX-License-Identifier: GPL-2.0-or-later
// HTTP: requests however they are cut, what is refused and how, keep-alive, streams, time limits.
#include "kernel/base/test.h"
#include "kernel/net/http_connection.h"

using net::HttpConnection;
using net::HttpParser;
using net::HttpRequest;

namespace {

constexpr u64 kSecond = 1'000'000'000;

// Answers every request with a line about it; "/stream" in three pieces, "/later" not at once.
struct Echo final : net::HttpHandler {
  String log;
  HttpConnection* open = nullptr;
  u32 gone = 0;

  void on_request(HttpConnection& c, const HttpRequest& r) override {
    base::StringWriter out(log);
    base::format_to(out, "[{} {} {} {}]", r.method, r.path, r.query, r.body.size());
    open = &c;
    if (r.path == "/later") return;
    if (r.path == "/stream") {
      c.begin_stream(200, "text/event-stream");
      c.send("one");
      c.send("");
      c.send("two");
      return c.end_stream();
    }
    c.respond(r.path == "/none" ? 404 : 200, "text/plain", r.body.empty() ? "hello" : r.body);
  }
  void on_bad_request(HttpConnection& c, int status, const char* problem) override {
    c.respond(status, "text/plain", problem);
  }
  void on_gone(HttpConnection&) override { gone++; }
};

struct Peer {
  net::HttpTimes times;
  Echo echo;
  HttpConnection connection;
  explicit Peer(net::HttpLimits limits = {}) : connection(limits, times, echo, 0) {}

  // What comes back for `bytes`, given `step` at a time.
  String talk(std::string_view bytes, usize step = ~usize{0}) {
    String back;
    while (!bytes.empty()) {
      std::string_view part = bytes.substr(0, step);
      bytes.remove_prefix(part.size());
      connection.receive(part, 0);
    }
    (void)back.append(connection.output());
    connection.sent(connection.output().size(), 0);
    return back;
  }
};

int status_of(std::string_view request, net::HttpLimits limits = {}) {
  Peer peer(limits);
  String back = peer.talk(request);
  if (back.size() < 12) return 0;
  return (back[9] - '0') * 100 + (back[10] - '0') * 10 + (back[11] - '0');
}

bool has(const String& text, std::string_view part) {
  return text.view().find(part) != std::string_view::npos;
}

}  // namespace

TEST(http, requests_however_they_are_cut) {
  constexpr std::string_view kText =
      "\r\nGET /a%20b?x=1&y=%41 HTTP/1.1\r\nHost: h\r\nX-A:  v \r\n\r\n"
      "POST /p HTTP/1.1\r\nhOST: h\r\nContent-Length: 5\r\n\r\nhello"
      "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5;x=y\r\nhello\r\nA\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n"
      "GET http://h/end HTTP/1.1\r\nHost: h\r\n\r\n";
  for (usize step : {usize{1}, usize{2}, usize{7}, usize{63}, usize{100000}}) {
    Peer peer;
    String back = peer.talk(kText, step);
    EXPECT_EQ(peer.echo.log.view(), "[GET /a b x=1&y=%41 0][POST /p  5][POST /c  15][GET /end  0]");
    usize answers = 0;
    for (usize at = back.view().find("HTTP/1.1 200 OK"); at != std::string_view::npos;
         at = back.view().find("HTTP/1.1 200 OK", at + 1))
      answers++;
    EXPECT_EQ(answers, 4u);
    EXPECT(has(back, "Content-Length: 15\r\n"));
    EXPECT(!peer.connection.wants_shutdown());
  }
}

TEST(http, refuses_what_could_be_read_in_two_ways) {
  struct Row {
    std::string_view request;
    int status;
  };
  using namespace std::string_view_literals;
  for (const Row& row :
       {Row{"GET / HTTP/1.1\nHost: h\n\n", 400},
        Row{"GET / HTTP/1.1\r\n\r\n", 400},
        Row{"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400},
        Row{"GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400},
        Row{"GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n", 400},
        Row{"GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n", 400},
        Row{"GET / HTTP/1.1\r\nHost: h\0\r\n\r\n"sv, 400},
        Row{"GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        Row{"GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        Row{"GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        Row{"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        Row{"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505},
        Row{"PRI * HTTP/2.0\r\n\r\n", 505},
        Row{"GET / HTTP/1.11\r\nHost: h\r\n\r\n", 400},
        Row{"nonsense\r\n", 400},
        Row{"\x16\x03\x01\x02\r\n", 400},
        Row{"POST / HTTP/1.1\r\nHost: h\r\n\r\n", 411},
        Row{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 400},
        Row{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\n", 400},
        Row{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\n", 400},
        Row{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400},
        Row{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775808\r\n\r\n", 400},
        Row{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n", 413},
        Row{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            400},
        Row{"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
        Row{"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n", 501},
        Row{"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
            "chunked\r\n\r\n",
            400},
        Row{"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        Row{"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n 5\r\n", 400},
        Row{"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\n", 400},
        Row{"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n", 400},
        Row{"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n", 413},
        Row{"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n100000000\r\n", 400},
        Row{"GET / HTTP/1.1\r\nHost: h\r\nExpect: 200-ok\r\n\r\n", 417}}) {
    int got = status_of(row.request);
    if (got != row.status) {
      char line[300];
      test.report(__FILE__, __LINE__, base::format_into(line, "{} for {}", got, row.request));
    }
  }
}

TEST(http, sizes_are_bounded) {
  String request;
  (void)request.append("GET /");
  for (int i = 0; i < 9000; i++) (void)request.push_back('a');
  EXPECT_EQ(status_of(request.view()), 414);
  request.clear();
  (void)request.append("GET / HTTP/1.1\r\nHost: h\r\nX: ");
  for (int i = 0; i < 17000; i++) (void)request.push_back('a');
  EXPECT_EQ(status_of(request.view()), 431);
  request.clear();
  (void)request.append("GET / HTTP/1.1\r\nHost: h\r\n");
  for (int i = 0; i < 101; i++) (void)request.append("a: b\r\n");
  EXPECT_EQ(status_of(request.view()), 431);
  EXPECT_EQ(
      status_of("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n", {.body_bytes = 10}),
      413);
  EXPECT_EQ(status_of("\r\n\r\n\r\n\r\n\r\n\r\n"), 400);
}

TEST(http, streams_are_chunked_or_close_the_connection) {
  Peer peer;
  String back = peer.talk("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT(has(back, "Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"));
  EXPECT(!peer.connection.wants_shutdown());
  Peer old;
  back = old.talk("GET /stream HTTP/1.0\r\n\r\n");
  EXPECT(has(back, "Connection: close\r\n"));
  EXPECT(has(back, "\r\n\r\nonetwo"));
  EXPECT(!has(back, "chunked"));
  EXPECT(old.connection.wants_shutdown());
}

TEST(http, head_options_and_http_1_0) {
  Peer peer;
  String back = peer.talk("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT(has(back, "Content-Length: 5\r\n"));
  EXPECT(!has(back, "hello"));
  Peer keep;
  back = keep.talk("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n");
  EXPECT(has(back, "HTTP/1.0 200 OK"));
  EXPECT(has(back, "Connection: keep-alive"));
  EXPECT(keep.connection.wants_shutdown());
  Peer close;
  (void)close.talk("GET / HTTP/1.1\r\nHost: h\r\nConnection: TE, Close\r\n\r\n");
  EXPECT(close.connection.wants_shutdown());
}

TEST(http, expect_continue) {
  Peer peer;
  String back =
      peer.talk("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(back.view(), "HTTP/1.1 100 Continue\r\n\r\n");
  back = peer.talk("ok");
  EXPECT(has(back, "200 OK"));
}

TEST(http, pipelined_requests_wait_their_turn) {
  Peer peer;
  String back =
      peer.talk("GET /later HTTP/1.1\r\nHost: h\r\n\r\nGET /none HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT(back.empty());
  EXPECT_EQ(peer.echo.log.view(), "[GET /later  0]");
  peer.echo.open->respond(200, "text/plain", "first");
  EXPECT_EQ(peer.echo.log.view(), "[GET /later  0][GET /none  0]");
  EXPECT(peer.connection.output().find("first") < peer.connection.output().find("404"));
}

TEST(http, a_peer_that_goes_stops_the_work) {
  Peer peer;
  (void)peer.talk("GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
  peer.connection.peer_closed();
  EXPECT_EQ(peer.echo.gone, 1u);
  EXPECT(peer.connection.finished());
  Peer half;
  (void)half.talk("GET /later HTTP/1.0\r\n\r\n");
  half.connection.peer_closed();
  EXPECT_EQ(half.echo.gone, 0u);
  half.echo.open->respond(200, "text/plain", "late");
  EXPECT(half.connection.output().ends_with("late"));
  Peer idle;
  idle.connection.peer_closed();
  EXPECT(idle.connection.finished() && idle.echo.gone == 0);
}

TEST(http, slow_peers_time_out) {
  Peer head;
  head.connection.receive("GET / HT", kSecond);
  head.connection.tick(10 * kSecond);
  EXPECT(head.connection.output().empty());
  head.connection.receive("T", 10 * kSecond);  // a byte now and then does not help
  head.connection.tick(12 * kSecond);
  EXPECT(head.connection.output().starts_with("HTTP/1.1 408"));
  EXPECT(!head.connection.wants_shutdown());
  head.connection.sent(head.connection.output().size(), 12 * kSecond);
  EXPECT(head.connection.wants_shutdown() && !head.connection.finished());
  head.connection.tick(15 * kSecond);
  EXPECT(head.connection.finished());

  Peer body;
  body.connection.receive("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc", kSecond);
  body.connection.tick(30 * kSecond);
  EXPECT(body.connection.output().starts_with("HTTP/1.1 408"));

  Peer idle;
  idle.connection.tick(74 * kSecond);
  EXPECT(!idle.connection.finished());
  idle.connection.tick(76 * kSecond);
  EXPECT(idle.connection.finished());

  Peer reader;
  reader.connection.receive("GET /later HTTP/1.1\r\nHost: h\r\n\r\n", 0);
  reader.echo.open->begin_stream(200, "text/plain");
  reader.connection.tick(61 * kSecond);
  EXPECT_EQ(reader.echo.gone, 1u);
}

TEST(http, a_stream_nobody_reads_is_dropped) {
  Peer peer;
  peer.connection.receive("GET /later HTTP/1.1\r\nHost: h\r\n\r\n", 0);
  peer.echo.open->begin_stream(200, "text/plain");
  String piece;
  for (int i = 0; i < 100'000; i++) (void)piece.push_back('x');
  for (int i = 0; i < 60; i++) peer.echo.open->send(piece.view());
  EXPECT_EQ(peer.echo.gone, 1u);
  EXPECT(peer.connection.output().size() <= HttpConnection::kMaxBacklog + 1024);
}

TEST(http, targets_and_queries) {
  EXPECT_EQ(net::split_target("/a?b#c").path, "/a");
  EXPECT_EQ(net::split_target("http://x:1").path, "/");
  auto value = [](std::string_view query, std::string_view name) {
    auto v = net::query_value(query, name);
    return v.has_value() ? std::move(*v) : std::move(*String::from("none"));
  };
  EXPECT_EQ(value("a=1&b=x+y%21&c", "b").view(), "x y!");
  EXPECT_EQ(value("a=1&b=2&c", "c").view(), "");
  EXPECT_EQ(value("a=1", "d").view(), "none");
}
