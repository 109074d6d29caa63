// SPDX-License-Identifier: GPL-2.0-or-later
// A service over the scripted engine, asked without a network; and what tests look for in answers.
#pragma once

#include "kernel/base/test.h"
#include "tests/hosted/openai_fake.h"

struct ApiTestServer {
  ApiTestBackend backend;
  base::Owner<ai::openai::Service> service;

  explicit ApiTestServer(ai::openai::ServiceOptions options = {}) {
    service = std::move(*ai::openai::Service::create(std::move(options), backend));
  }

  void run() {
    for (int i = 0; i < 1000 && !service->idle(); i++) {
      backend.now += 1'000'000;
      (void)backend.fake.step();
      (void)service->work();
      service->tick();
    }
  }

  ApiTestReply call(std::string_view method, std::string_view path, std::string_view body,
                    std::span<const ai::openai::Header> headers = {}, std::string_view query = {}) {
    ApiTestReply reply;
    const ai::openai::Header json[] = {{"Content-Type", "application/json"}};
    (void)service->handle(
        {.method = method,
         .path = path,
         .query = query,
         .headers = headers.empty() ? std::span<const ai::openai::Header>(json) : headers,
         .body = body,
         .peer = "test"},
        reply);
    run();
    return reply;
  }
  ApiTestReply post(std::string_view path, std::string_view body) {
    return call("POST", path, body);
  }
  // Asks and leaves the rest to the test: the exchange, null when it is answered already.
  ai::openai::Exchange* begin(std::string_view path, std::string_view body, ApiTestReply& reply) {
    return service->handle(
        {.method = "POST", .path = path, .query = {}, .headers = {}, .body = body, .peer = "test"},
        reply);
  }
  ApiTestReply chat(std::string_view fields) {
    String body;
    base::StringWriter out(body);
    base::format_to(
        out, "{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hi\"}]{}}", fields);
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
