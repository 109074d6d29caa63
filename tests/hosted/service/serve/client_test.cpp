// SPDX-License-Identifier: GPL-2.0-or-later
// The server from its socket to a scripted engine: who is told about a peer that is gone, and when.
#include "service/serve/client.h"
#include "arch/host/memory.h"
#include "kernel/base/test.h"
#include "tests/hosted/ai/openai/test_server.h"
#include "tests/hosted/service/serve/wire_socket.h"

namespace {

struct Client {
  std::shared_ptr<Wire> wire = std::make_shared<Wire>();
  std::unique_ptr<service::ServeClient> client;
};

// One server, and clients that a test drops when it likes.
struct Served : ApiTestServer {
  net::HttpTimes times;
  net::HttpLimits limits{.backlog_bytes = 2000};
  base::Budget bodies{64 * 1024};

  Served() : ApiTestServer(opened()) {}

  Client connect() {
    Client c;
    auto socket = MUST(base::make<WireSocket>(c.wire));
    c.client = std::make_unique<service::ServeClient>(std::move(socket), *service, limits, times,
                                                      bodies, backend.now, false);
    return c;
  }
  // A turn of each thread of the server.
  void turn_with(Client& c) {
    (void)c.client->pump(backend.now);
    backend.step();
    c.client->flush(backend.now);
    service->tick();
  }
  bool counted() {
    const ai::openai::Metrics& m = service->metrics();
    return m.requests == m.answered + m.failed + m.gone;
  }
};

std::string post(std::string_view path, std::string_view body, std::string_view more = "") {
  char head[200];
  std::string text(base::format_into(head,
                                     "POST {} HTTP/1.1\r\nHost: localhost\r\n{}"
                                     "Content-Length: {}\r\n\r\n",
                                     path, more, body.size()));
  return text + std::string(body);
}

// Eight prompts that come back before anything else does: more than the peer may leave unread.
std::string echo_flood() {
  std::string prompt(150, 'a');
  std::string body = "{\"prompt\":[\"" + prompt;
  for (int i = 0; i < 7; i++) body += "\",\"" + prompt;
  return post("/v1/completions", body + "\"],\"echo\":true,\"stream\":true}");
}

}  // namespace

TEST(serve_client, a_stream_that_is_too_long_in_its_first_words) {
  Served s;
  {
    Client c = s.connect();
    c.wire->room = 0;
    c.wire->in = echo_flood();
    (void)c.client->pump(s.backend.now);  // all of it within one call of the handler
    EXPECT(c.client->finished());         // and told by the end of the pump
    EXPECT_EQ(s.service->metrics().gone, 1u);
    EXPECT_EQ(s.backend.fake.running(), 0u);
  }  // as the server drops it
  for (int i = 0; i < 5; i++) s.turn();
  EXPECT(s.service->idle() && s.counted());
  EXPECT_EQ(s.chat("").status, 200);
}

TEST(serve_client, a_client_may_be_dropped_at_any_moment) {
  for (std::string_view path : {"/v1/completions", "/v1/embeddings"})
    for (int turns = 0; turns < 12; turns++) {
      Served s;
      {
        Client c = s.connect();
        c.wire->in = post(path, R"({"prompt":"x","input":["a","b"],"stream":true})") +
                     post(path, R"({"prompt":"y","input":["a","b"]})");
        for (int i = 0; i < turns; i++) s.turn_with(c);
      }
      s.run();
      EXPECT(s.service->idle() && s.counted());
      EXPECT_EQ(s.backend.fake.running(), 0u);
    }
}

TEST(serve_client, a_thousand_requests_in_one_go_do_not_nest) {
  Served s;
  s.limits.backlog_bytes = 4 * kMiB;
  Client c = s.connect();
  constexpr u32 kMany = 1000;
  for (u32 i = 0; i < kMany; i++)
    c.wire->in += "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
  c.wire->in += post("/v1/completions", R"({"prompt":"x","max_tokens":2})");
  c.wire->in += "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
  for (int i = 0; i < 40; i++) s.turn_with(c);
  u32 answers = 0;
  for (usize at = c.wire->out.find("HTTP/1.1 200"); at != std::string::npos;
       at = c.wire->out.find("HTTP/1.1 200", at + 1))
    answers++;
  EXPECT_EQ(answers, kMany + 2);
  EXPECT(c.wire->out.ends_with(R"({"status":"live"})"));
}

TEST(serve_client, a_refused_head_takes_no_memory_for_its_body) {
  Served s;
  s.bodies.set_limit(0);
  Client c = s.connect();
  c.wire->in = post("/v1/completions", R"({"prompt":"x"})", "Origin: https://evil.example\r\n");
  s.turn_with(c);
  EXPECT(c.wire->out.starts_with("HTTP/1.1 403"));
  Client d = s.connect();
  d.wire->in = post("/v1/completions", R"({"prompt":"x"})");
  s.turn_with(d);
  EXPECT(d.wire->out.starts_with("HTTP/1.1 503"));
  EXPECT(d.wire->out.find("Retry-After: 1\r\n") != std::string::npos);
}

// Every allocation on the way of a request fails once, streamed or not: an answer or none, a count
// for each, nothing left behind.
TEST(serve_client, memory_may_run_out_anywhere) {
  for (std::string_view body :
       {R"({"prompt":"x","max_tokens":2,"stream":true})", R"({"prompt":"x","max_tokens":2})",
        R"({"prompt":["AB","CD"],"echo":true,"logprobs":1,"max_tokens":1})", R"({"prompt":)"}) {
    bool through = false;
    for (u64 nth = 1; nth < 200 && !through; nth++) {
      Served s;
      {
        Client c = s.connect();
        c.wire->in = post("/v1/completions", body);
        c.wire->out.reserve(20'000);
        u64 before = host::allocation_count();
        host::fail_allocation(nth);
        for (int i = 0; i < 12; i++) s.turn_with(c);
        through = host::allocation_count() - before < nth;
        host::fail_allocation(0);
        EXPECT(c.wire->out.empty() || c.wire->out.starts_with("HTTP/1.1 "));
        EXPECT_EQ(s.bodies.used(), 0u);
      }
      s.run();
      EXPECT(s.service->idle() && s.counted());
      EXPECT_EQ(s.backend.fake.running() + s.backend.leases, 0u);
    }
    EXPECT(through);
  }
}
