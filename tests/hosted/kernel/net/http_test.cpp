// SPDX-License-Identifier: GPL-2.0-or-later
// HTTP: requests however they are cut, what is refused and how, keep-alive, streams, time limits.
#include "arch/host/memory.h"
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
  u32 gone = 0, heads = 0;

  void on_head(HttpConnection& c, const HttpRequest& r) override {
    heads++;
    if (!r.body.empty()) (void)log.append("[a body with the head]");
    if (r.path == "/refuse") c.respond(401, "text/plain", "no");
  }
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
  base::Budget own, &bodies;
  Echo echo;
  HttpConnection connection;
  explicit Peer(net::HttpLimits limits = {})
      : bodies(own), connection(limits, times, bodies, echo, 0) {}
  explicit Peer(base::Budget& shared) : bodies(shared), connection({}, times, bodies, echo, 0) {}

  // Returns the connection's output for `bytes`, which are fed `step` at a time.
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
        Row{"GET / HTTP/1.1\r\nHost: h\r\nExpect: 200-ok\r\n\r\n", 417},
        Row{"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
        Row{"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
        Row{"GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", 400},
        Row{"GET / HTTP/1.1\r\nHost: h/x\r\n\r\n", 400},
        Row{"GET / HTTP/1.1\r\nHost: h:80a\r\n\r\n", 400},
        Row{"GET / HTTP/1.1\r\nHost: h:80:80\r\n\r\n", 400},
        Row{"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
        Row{"GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", 400},
        Row{"GET http://evil/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        Row{"GET http://evil?h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        Row{"GET httpx HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        Row{"GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        Row{"CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n", 400},
        Row{"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \r\n\r\n", 501},
        Row{"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", 501},
        Row{"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 501}}) {
    int got = status_of(row.request);
    if (got != row.status) {
      char line[300];
      test.report(__FILE__, __LINE__, base::format_into(line, "{} for {}", got, row.request));
    }
  }
}

// RFC 9112, 7.1: what follows a head that says chunked.
TEST(http, chunks_are_well_formed) {
  struct Row {
    std::string_view body;
    int status;
  };
  using namespace std::string_view_literals;
  for (const Row& row : {Row{"2\r\nab\r\n0\r\n\r\n", 200},
                         Row{"2;x\r\nab\r\n0\r\n\r\n", 200},
                         Row{"2;x=y;z\r\nab\r\n0\r\n\r\n", 200},
                         Row{"2;x=\"a;\\\"b\"\r\nab\r\n0;l=1\r\n\r\n", 200},
                         Row{"00000002\r\nab\r\n000\r\n\r\n", 200},
                         Row{"a\r\n0123456789\r\n0\r\nT: x\r\n\r\n", 200},
                         Row{"2;\r\nab\r\n0\r\n\r\n", 400},
                         Row{"2;;x\r\nab\r\n0\r\n\r\n", 400},
                         Row{"2;x=\r\nab\r\n0\r\n\r\n", 400},
                         Row{"2;=y\r\nab\r\n0\r\n\r\n", 400},
                         Row{"2;x=\"y\r\nab\r\n0\r\n\r\n", 400},
                         Row{"2;x=\"y\\\r\nab\r\n0\r\n\r\n", 400},
                         Row{"2;x=\"y\"z\r\nab\r\n0\r\n\r\n", 400},
                         Row{"2;x y\r\nab\r\n0\r\n\r\n", 400},
                         Row{"2;x\x01\r\nab\r\n0\r\n\r\n", 400},
                         Row{"2 ;x\r\nab\r\n0\r\n\r\n", 400},
                         Row{"2 \r\nab\r\n0\r\n\r\n", 400},
                         Row{"2\t\r\nab\r\n0\r\n\r\n", 400},
                         Row{"2x\r\nab\r\n0\r\n\r\n", 400},
                         Row{"+2\r\nab\r\n0\r\n\r\n", 400},
                         Row{"0x2\r\nab\r\n0\r\n\r\n", 400},
                         Row{"2_0\r\nab\r\n0\r\n\r\n", 400},
                         Row{"\r\nab\r\n0\r\n\r\n", 400},
                         Row{";x\r\nab\r\n0\r\n\r\n", 400},
                         Row{"2\nab\r\n0\r\n\r\n", 400},
                         Row{"2\rab\r\n0\r\n\r\n", 400},
                         Row{"2\r\r\nab\r\n0\r\n\r\n", 400},
                         Row{"2\r\nab\n0\r\n\r\n", 400},
                         Row{"2\r\nabc\r\n0\r\n\r\n", 400},
                         Row{"2\r\nab0\r\n\r\n", 400},
                         Row{"2\0\r\nab\r\n0\r\n\r\n"sv, 400},
                         Row{"2;x=\"\n\"\r\nab\r\n0\r\n\r\n", 400},
                         Row{"0\r\n no name\r\n\r\n", 400},
                         Row{"0\r\nT : x\r\n\r\n", 400},
                         Row{"0\r\nT\r\n\r\n", 400},
                         Row{"0\r\nT: \x01\r\n\r\n", 400},
                         Row{"0\r\nT: x\n\n", 400}}) {
    for (usize step : {usize{1}, usize{100000}}) {
      Peer peer;
      String request;
      (void)request.append("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
      (void)request.append(row.body);
      String back = peer.talk(request.view(), step);
      int got =
          back.size() < 12 ? 0 : (back[9] - '0') * 100 + (back[10] - '0') * 10 + back[11] - '0';
      if (got != row.status) {
        char line[300];
        test.report(__FILE__, __LINE__, base::format_into(line, "{} for {}", got, row.body));
      }
    }
  }
  Peer flood;  // a byte a chunk, and a long extension with each
  String request;
  (void)request.append("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 200; i++) {
    (void)request.append("1;x=");
    for (int k = 0; k < 200; k++) (void)request.push_back('y');
    (void)request.append("\r\na\r\n");
  }
  EXPECT(has(flood.talk(request.view()), "HTTP/1.1 400"));
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

// Before a byte of the body is kept, and without asking for it.
TEST(http, a_head_may_be_refused) {
  for (std::string_view extra : {"Content-Length: 1000000\r\n", "Transfer-Encoding: chunked\r\n",
                                 "Content-Length: 5\r\nExpect: 100-continue\r\n"})
    for (usize step : {usize{1}, usize{100000}}) {
      base::Budget bodies(0);  // not even one byte
      Peer peer(bodies);
      String request;
      base::StringWriter out(request);
      base::format_to(out, "POST /refuse HTTP/1.1\r\nHost: h\r\n{}\r\n5\r\nhello", extra);
      String back = peer.talk(request.view(), step);
      EXPECT(back.view().starts_with("HTTP/1.1 401"));
      EXPECT(has(back, "Connection: close\r\n"));
      EXPECT(!has(back, "100 Continue"));
      EXPECT_EQ(peer.echo.log.view(), "");
      EXPECT_EQ(peer.echo.heads, 1u);
      // The rest is read and thrown away for a while, so that the peer gets the answer.
      EXPECT(peer.connection.wants_shutdown() && !peer.connection.finished());
      EXPECT(peer.connection.wants_bytes());
      peer.connection.receive("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 0);
      EXPECT_EQ(peer.echo.heads, 1u);
      EXPECT(peer.connection.output().empty());
    }
  // Without a body the connection goes on.
  Peer peer;
  String back = peer.talk(
      "GET /refuse HTTP/1.1\r\nHost: h\r\n\r\nPOST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n"
      "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(peer.echo.log.view(), "[POST /p  0][GET /  0]");
  EXPECT_EQ(peer.echo.heads, 3u);
  EXPECT(!peer.connection.wants_shutdown());
}

TEST(http, bodies_share_a_budget) {
  base::Budget bodies(10'000);
  Peer first(bodies), second(bodies);
  String body;
  for (int i = 0; i < 6000; i++) (void)body.push_back('x');
  // An announced body takes no memory; received bytes do.
  (void)first.talk("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9000\r\n\r\n");
  EXPECT_EQ(bodies.used(), 0u);
  (void)first.talk(body.view());
  u64 used = bodies.used();
  EXPECT(used >= 6000 && used <= 9000);
  (void)second.talk("POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 6000\r\n\r\n");
  String back = second.talk(body.view());
  EXPECT(back.view().starts_with("HTTP/1.1 503"));
  EXPECT_EQ(second.echo.log.view(), "");
  // The first is not harmed, and gives back what it had.
  back = first.talk(body.view().substr(0, 3000));
  EXPECT(back.view().starts_with("HTTP/1.1 200"));
  EXPECT_EQ(bodies.used(), 0u);
  {
    Peer third(bodies);
    (void)third.talk("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9000\r\n\r\nabc");
    EXPECT(bodies.used() > 0);
    third.connection.tick(30 * kSecond);  // a slow one is not waited for
    EXPECT(third.connection.output().starts_with("HTTP/1.1 408"));
    EXPECT_EQ(bodies.used(), 0u);
  }
}

// Any allocation of an answer may fail: it is dropped whole, and told once.
TEST(http, memory_may_run_out_in_any_answer) {
  for (std::string_view path : {"/stream", "/", "/none", "/refuse", "/later"}) {
    for (u64 nth = 1; nth < 12; nth++) {
      Peer peer;
      String request;
      base::StringWriter out(request);
      base::format_to(out, "POST {} HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab", path);
      (void)peer.echo.log.reserve(1000);
      host::fail_allocation(nth);
      peer.connection.receive(request.view(), 0);
      if (path == "/later" && peer.echo.open != nullptr) {
        peer.echo.open->begin_stream(200, "text/plain");
        for (int i = 0; i < 50; i++)
          peer.echo.open->send("0123456789012345678901234567890123456789");
        peer.echo.open->end_stream();
      }
      host::fail_allocation(0);
      (void)peer.connection.proceed(0);
      EXPECT(peer.echo.gone <= 1);
      // Whole answers only.
      std::string_view back = peer.connection.output();
      EXPECT(back.empty() || back.starts_with("HTTP/1."));
      EXPECT(back.empty() || back.find("\r\n\r\n") != std::string_view::npos);
    }
  }
}

TEST(http, pipelined_requests_wait_their_turn) {
  Peer peer;
  String back =
      peer.talk("GET /later HTTP/1.1\r\nHost: h\r\n\r\nGET /none HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT(back.empty());
  EXPECT_EQ(peer.echo.log.view(), "[GET /later  0]");
  peer.echo.open->respond(200, "text/plain", "first");
  EXPECT_EQ(peer.echo.log.view(), "[GET /later  0]");  // not inside the handler's own call
  EXPECT(peer.connection.proceed(0));
  EXPECT(!peer.connection.proceed(0));
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
  // The caller of send() is not called back; the transport's next call reports the peer.
  EXPECT_EQ(peer.echo.gone, 0u);
  EXPECT(!peer.connection.finished());
  EXPECT(peer.connection.proceed(0));
  EXPECT_EQ(peer.echo.gone, 1u);
  EXPECT(peer.connection.finished());
  peer.connection.peer_lost();
  peer.connection.tick(0);
  EXPECT_EQ(peer.echo.gone, 1u);
  EXPECT(peer.connection.output().empty());
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
