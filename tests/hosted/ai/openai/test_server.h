// SPDX-License-Identifier: GPL-2.0-or-later
// A service over the scripted engine, asked without a network; and what tests look for in answers.
#pragma once

#include "kernel/base/test.h"
#include "tests/hosted/ai/openai/fake_backend.h"

struct ApiTestServer {
  ApiTestBackend backend;
  base::Owner<ai::openai::Service> service;

  // Without keys the server is open, and its admin routes too.
  explicit ApiTestServer(ai::openai::ServiceOptions options = opened()) {
    service = std::move(*ai::openai::Service::create(std::move(options), backend));
  }
  static ai::openai::ServiceOptions opened() {
    ai::openai::ServiceOptions options;
    options.open = true;
    options.admin = ai::openai::AdminRoutes::kOpen;
    return options;
  }

  void turn() {
    backend.now += 1'000'000;
    backend.step();
    service->tick();
  }
  void run() {
    for (int i = 0; i < 1000 && !service->idle(); i++) turn();
  }

  // A reply can be neither copied nor moved: the tests keep what it got.
  struct Answer {
    int status = 0;
    bool streaming = false, done = false;
    String type, headers, body;
  };
  static Answer taken(ApiTestReply& reply) {
    return {reply.status,          reply.streaming,          reply.done,
            std::move(reply.type), std::move(reply.headers), std::move(reply.body)};
  }

  Answer call(std::string_view method, std::string_view path, std::string_view body,
              std::span<const base::HttpHeader> headers = {}, std::string_view query = {}) {
    ApiTestReply reply;
    const base::HttpHeader json[] = {{"Host", "localhost"}, {"Content-Type", "application/json"}};
    service->handle({.method = method,
                     .path = path,
                     .query = query,
                     .headers = headers.empty() ? std::span<const base::HttpHeader>(json) : headers,
                     .body = body,
                     .http_1_0 = true},
                    "127.0.0.1:9", reply);
    run();
    return taken(reply);
  }
  Answer post(std::string_view path, std::string_view body) { return call("POST", path, body); }
  // Asks and leaves the rest to the test.
  void begin(std::string_view path, std::string_view body, ApiTestReply& reply,
             std::string_view peer = "127.0.0.1:9") {
    service->handle({.method = "POST",
                     .path = path,
                     .query = {},
                     .headers = {},
                     .body = body,
                     .http_1_0 = true},
                    peer, reply);
  }
  Answer chat(std::string_view fields) {
    String body;
    base::StringWriter out(body);
    base::format_to(
        out, "{{\"model\":\"tiny\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hi\"}]{}}",
        fields);
    return post("/v1/chat/completions", body.view());
  }
};

inline bool has(const String& text, std::string_view part) {
  return text.view().find(part) != std::string_view::npos;
}

inline void expect_has(TestContext& test, int line, const String& text, std::string_view part) {
  if (has(text, part)) return;
  char message[400];
  test.report(__FILE__, line, base::format_into(message, "no '{}' in: {}", part, text));
}
#define EXPECT_HAS(text, part) expect_has(test, __LINE__, text, part)

inline u32 count(const String& text, std::string_view part) {
  u32 n = 0;
  for (usize at = text.view().find(part); at != std::string_view::npos;
       at = text.view().find(part, at + 1))
    n++;
  return n;
}

// Every event of a stream is JSON (or a comment, or the end mark).
inline bool events_are_json(const String& body) {
  std::string_view rest = body.view();
  while (!rest.empty()) {
    std::string_view event = rest.substr(0, rest.find("\n\n"));
    rest.remove_prefix(std::min(rest.size(), event.size() + 2));
    usize data = event.find("data: ");
    if (data == std::string_view::npos) {
      if (!event.starts_with(":")) return false;
      continue;
    }
    std::string_view text = event.substr(data + 6);
    if (text != "[DONE]" && !json::Document::parse(text).has_value()) return false;
  }
  return true;
}
